"""Scale the neurons of one MLP at one token, and differentiate what the model then says.

A layer's points are rows of one batch that starts at its own block and at that token (`model.partial`): nothing below,
and no token before, is run again. A normalization between the MLP and the residual stream keeps the scale it has in
the plain run:

    write(x) = g · W x / rms(W x)        becomes        g · W x / rms(W k),  k the key of the plain run

Otherwise the write would hardly depend on how far the key is scaled, jump near 0, and the integral with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import UnsupportedModel
from obverse.locating.neurons import At, Reading
from obverse.model.hooks import intervene, replace_input
from obverse.model.partial import Rows, Suffix, logits, prepare
from obverse.model.tokens import Padded, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Asked:
    """The tokens to run: a prompt and its answer without the last token.

    Attributes:
        ids: Token ids.
        prompt: Number of the prompt's tokens.
        pivot: The token whose neurons are scaled.
        reads: Tokens whose next-token distribution is read, counted from the pivot.
        answer: The answer's tokens.
        reading: What several of them mean.
    """

    ids: tuple[int, ...]
    prompt: int
    pivot: int
    reads: tuple[int, ...]
    answer: tuple[int, ...]
    reading: Reading

    def read(self, n: int, device: torch.device) -> Rows:
        """Return what the head is to see of n rows."""
        columns = torch.tensor(self.reads, device=device)
        return Rows(torch.arange(n, device=device).repeat_interleave(len(columns)), columns.repeat(n))

    def probability(self, found: Float[Tensor, "read vocab"]) -> Float[Tensor, " row"]:
        """Return the probability of the answer in each row, from what the head gave."""
        answer = torch.tensor(self.answer, device=found.device)
        if self.reading == "same-position":
            return found.float().softmax(-1)[:, answer].mean(-1)
        logprobs = found.float().log_softmax(-1).unflatten(0, (-1, len(answer)))
        return logprobs.gather(-1, answer.expand(len(logprobs), -1)[..., None]).sum((1, 2)).exp()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer in the plain run.

    Attributes:
        module: What is scaled: the input of this module (the key), or its output (before the nonlinearity).
        at: Which of the two.
        norm: Name of the norm that the MLP's output passes, and what it multiplies by at the token in the plain run;
            None where there is none.
        value: The neurons' values at the token.
        suffix: What partial runs from this block on need.
    """

    module: str
    at: At
    norm: tuple[str, Float[Tensor, " hidden"]] | None
    value: Float[Tensor, " neuron"]
    suffix: Suffix


def scaled_module(lm: LanguageModel, layer: int, at: At) -> str:
    """Return the module whose input (for ``key``) or output (for ``preactivation``) holds a layer's neurons.

    Raises:
        UnsupportedModel: If the MLP is a mixture of experts, or has no single first matrix where that is asked for.
    """
    out = lm.architecture.mlp_out(layer)
    if at == "key":
        return out
    mlp, _, own = out.rpartition(".")
    across = 1 if lm.architecture.transposed else 0
    found = [
        name
        for name, module in lm.model.get_submodule(mlp).named_children()
        if name != own
        and isinstance(weight := getattr(module, "weight", None), Tensor)
        and weight.ndim == 2
        and weight.shape[across] == lm.architecture.inner
    ]
    if len(found) != 1:
        raise UnsupportedModel(
            f"The MLPs of {lm.architecture.family!r} have no single first matrix whose output becomes the key.",
            "Attribute at the key, which every dense model has: at='key', or --at key.",
        )
    return f"{mlp}.{found[0]}"


def run_plain(lm: LanguageModel, asked: Asked, at: At) -> tuple[list[Layer], float]:
    """Run the model once and return every layer, and the probability of the answer.

    Raises:
        UnsupportedModel: If the neurons cannot be scaled.
    """
    n, architecture = lm.architecture.n_layers, lm.architecture
    modules = [scaled_module(lm, layer, at) for layer in range(n)]
    writer = architecture.layout.mlp_write if architecture.layout.mlp_write != architecture.layout.mlp_out else None
    hidden, values, norms = list[Tensor](), list[Tensor](), list[tuple[str, Tensor]]()

    def keep(into: list[Tensor]) -> Callable[[Tensor], Tensor]:
        def look(states: Tensor) -> Tensor:
            into.append(states.reshape(1, len(asked.ids), -1)[:, asked.pivot :].clone())  # OPT flattens its rows
            return states

        return look

    def keep_scale(name: str) -> Callable[[Tensor, Tensor], Tensor]:
        def look(given: Tensor, output: Tensor) -> Tensor:
            forward = lm.model.get_submodule(name).forward  # the module itself would call this hook again
            norms.append((name, _scale_of(forward, given[0, asked.pivot], output[0, asked.pivot])))
            return output

        return look

    with ExitStack() as stack:
        for layer, module in enumerate(modules):
            block = architecture.block(layer)
            stack.enter_context(replace_input(lm.model.get_submodule(block), keep(hidden)))
            stack.enter_context(_changed(lm, module, at, keep(values)))
            if writer:
                stack.enter_context(intervene(lm.model, {f"{block}.{writer}": keep_scale(f"{block}.{writer}")}))
        padded = pad([asked.ids], pad_id(lm.tokenizer), lm.device)
        base, found = prepare(lm.model, architecture, padded, 0, asked.pivot, asked.read(1, lm.device))
    assert found is not None
    layers = [
        Layer(
            modules[i],
            at,
            norms[i] if norms else None,
            values[i][0, 0],
            Suffix(i, asked.pivot, padded, hidden[i], base.keys[i:], base.values[i:], base.as_tuple),
        )
        for i in range(n)
    ]
    return layers, float(asked.probability(found))


def gradients(
    lm: LanguageModel, asked: Asked, layer: Layer, points: Sequence[float], memory: float
) -> tuple[Float[Tensor, "point neuron"], Float[Tensor, " point"]]:
    """Scale a layer's neurons at the token.

    Args:
        lm: The model; untouched.
        asked: The tokens.
        layer: The layer, from `run_plain`.
        points: What to multiply its values by.
        memory: How much to use beyond the model, in gigabytes.

    Returns:
        At each point the gradient of the answer's probability to the scaled values, and the probability.
    """
    value = layer.value.float()
    slopes, probabilities = list[Tensor](), list[Tensor]()
    for some in torch.tensor(points, device=value.device).split(_rows_at_once(lm, asked, layer.suffix, memory)):
        scaled = (some[:, None] * value).requires_grad_()
        rows = _repeated(layer.suffix, len(some))
        with torch.enable_grad(), _scaled(lm, layer, scaled):
            found = logits(lm.model, lm.architecture, rows, rows.hidden, asked.read(len(some), lm.device))
            probability = asked.probability(found)
        slopes.append(torch.autograd.grad(probability.sum(), scaled)[0])
        probabilities.append(probability.detach())
    return torch.cat(slopes), torch.cat(probabilities)


@contextmanager
def _scaled(lm: LanguageModel, layer: Layer, scaled: Float[Tensor, "row neuron"]) -> Iterator[None]:
    def put(states: Tensor) -> Tensor:
        shaped = states.reshape(len(scaled), -1, states.shape[-1])
        return torch.cat([scaled.to(states.dtype)[:, None], shaped[:, 1:]], 1).reshape(states.shape)

    def hold(scale: Tensor, given: Tensor, output: Tensor) -> Tensor:
        return torch.cat([(scale * given[:, :1]).to(output.dtype), output[:, 1:]], 1)

    with ExitStack() as stack:
        stack.enter_context(_changed(lm, layer.module, layer.at, put))
        if layer.norm:
            name, scale = layer.norm
            stack.enter_context(intervene(lm.model, {name: lambda given, output: hold(scale, given, output)}))
        yield


def _changed(
    lm: LanguageModel, module: str, at: At, change: Callable[[Tensor], Tensor]
) -> AbstractContextManager[None]:
    if at == "key":
        return replace_input(lm.model.get_submodule(module), change)
    return intervene(lm.model, {module: lambda _, output: change(output)})


def _scale_of(norm: Callable[[Tensor], Tensor], given: Tensor, output: Tensor) -> Float[Tensor, " hidden"]:
    """Return what a root-mean-square norm multiplies a vector by, entry by entry."""
    size = given.float().square().mean().sqrt().clamp_min(1e-12).to(given.dtype)
    scale = norm(torch.ones_like(given) * size).float() / size.float()
    error = (scale * given.float() - output.float()).abs().max()
    if not error <= 0.02 * output.abs().max():
        raise UnsupportedModel(
            "What stands between this model's MLPs and its residual stream is no root-mean-square norm, so its scale "
            "cannot be held.",
            "Give the writer by hand: Architecture(...) is public.",
        )
    return scale


def _repeated(suffix: Suffix, n: int) -> Suffix:
    def rows(tensor: Tensor) -> Tensor:
        return tensor.expand(n, *tensor.shape[1:])

    padded = Padded(rows(suffix.padded.ids), rows(suffix.padded.mask), rows(suffix.padded.positions))
    keys, values = tuple(map(rows, suffix.keys)), tuple(map(rows, suffix.values))
    return Suffix(suffix.layer, suffix.pivot, padded, rows(suffix.hidden), keys, values, suffix.as_tuple)


def _rows_at_once(lm: LanguageModel, asked: Asked, suffix: Suffix, memory: float) -> int:
    """Return how many points fit: what a row keeps for its gradient in the blocks above, and its logits."""
    size = suffix.hidden.element_size()
    blocks = lm.architecture.n_layers - suffix.layer
    states = suffix.hidden.shape[1] * blocks * (16 * lm.architecture.hidden + 8 * lm.architecture.inner) * size
    prefix = 4 * sum(part.nelement() for part in (*suffix.keys, *suffix.values)) * size
    return max(1, int(memory * 1e9 / (states + prefix + 5 * 4 * lm.vocab * len(asked.reads))))
