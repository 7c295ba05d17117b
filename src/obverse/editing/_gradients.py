"""The gradient of a fact's loss in factors, for learned editors, and losses under changes that they propose.

The gradient of a matrix W is a sum over tokens of its input x and the gradient δ of its output (MEND, section 3.1):

    dL/dW = Σ_t δ_t x_tᵀ            L = mean over the target's tokens of -log p

Rows are run in full once; what follows (the gradient, then the losses under a change that gradients flow through) runs
from the first edited layer on (`model.partial`). No weight is written, and no flag of a weight is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from obverse.model.hooks import intervene
from obverse.model.partial import Rows, Suffix, logits, prepare
from obverse.model.tokens import join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Factors:
    """One matrix' gradient for one fact, in float32; tokens without a gradient are left out."""

    x: Float[Tensor, "token in"]
    delta: Float[Tensor, "token out"]


@dataclass(frozen=True, slots=True)
class FactGradient:
    """What a learned editor sees of one fact.

    Attributes:
        factors: Module name → its gradient.
        embedded: The model's input embeddings of prompt and target, float32.
        nll: The loss, in nats.
    """

    factors: Mapping[str, Factors]
    embedded: Float[Tensor, "pos width"]
    nll: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows after one full pass, ready to be run again from the first edited layer on.

    Attributes:
        suffix: What partial runs need.
        ids: Token ids of each row, without a target's last token.
        reads: Columns of each row whose next-token distribution is wanted.
        targets: What should come next there; empty for plain text.
        base: Logits there before any change.
    """

    suffix: Suffix
    ids: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[int, ...], ...]
    targets: tuple[tuple[int, ...], ...]
    base: tuple[Float[Tensor, "_ vocab"], ...]


def matrices(lm: LanguageModel, layers: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Return the MLP's matrices in some layers, in the order the model holds them: module name → (out, in).

    They are the output projection and the matrices that stand beside it: `c_fc` and `c_proj` in GPT-2, `gate_proj`,
    `up_proj` and `down_proj` in Llama.

    Raises:
        UnsupportedModel: If a layer is out of range, or the family has no single MLP matrix.
    """
    found: dict[str, tuple[int, int]] = {}
    for layer in layers:
        parent = lm.architecture.mlp_out(layer).rpartition(".")[0]
        for name, module in lm.model.get_submodule(parent).named_children():
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim == 2:
                rows, columns = weight.shape
                stored_in_out = type(module).__name__ == "Conv1D"
                found[f"{parent}.{name}"] = (columns, rows) if stored_in_out else (rows, columns)
    return found


def ask(
    lm: LanguageModel, layer: int, pairs: Sequence[tuple[str, str]], texts: Sequence[tuple[int, ...]] = ()
) -> Batch:
    """Run prompts with their targets, and plain texts, once.

    Args:
        lm: The model.
        layer: The first layer that will be changed.
        pairs: (prompt, target); the first rows.
        texts: Token ids of plain texts, read at every token; the rows after them.
    """
    joined = join_all(lm.tokenizer, pairs)
    ids = (*(row.encoded.ids[:-1] for row in joined), *texts)
    reads = (*(tuple(i - 1 for i in row.target) for row in joined), *(tuple(range(len(text))) for text in texts))
    targets = (*(tuple(row.encoded.ids[i] for i in row.target) for row in joined), *(() for _ in texts))
    padded = pad(ids, pad_id(lm.tokenizer), lm.device)
    suffix, base = prepare(lm.model, lm.architecture, padded, layer, 0, _where(reads, lm.device))
    assert base is not None
    return Batch(suffix, ids, reads, targets, base.float().split([len(read) for read in reads]))


def answers(lm: LanguageModel, batch: Batch, rows: Sequence[int]) -> tuple[Float[Tensor, "_ vocab"], ...]:
    """Return the logits of some rows as the model answers now, with what is hooked into it; gradients flow."""
    reads = [batch.reads[row] for row in rows]
    suffix = batch.suffix.select(torch.tensor(list(rows), device=lm.device))
    found = logits(lm.model, lm.architecture, suffix, suffix.hidden, _where(reads, lm.device))
    return found.float().split([len(read) for read in reads])


def nll(found: Float[Tensor, "read vocab"], targets: Sequence[int]) -> Float[Tensor, ""]:
    """Return the mean negative log-probability of a target's tokens, in nats."""
    return functional.cross_entropy(found, torch.tensor(list(targets), device=found.device))


def divergence(base: Float[Tensor, "read vocab"], found: Float[Tensor, "read vocab"]) -> Float[Tensor, ""]:
    """Return KL(base || found), the mean over tokens, in nats."""
    return functional.kl_div(
        found.log_softmax(-1), base.log_softmax(-1), reduction="none", log_target=True
    ).sum(-1).mean()  # fmt: skip


def gradients(lm: LanguageModel, names: Sequence[str], batch: Batch, rows: Sequence[int]) -> list[FactGradient]:
    """Return the gradient of each row's own loss; rows do not see each other.

    Args:
        lm: The model.
        names: The matrices.
        batch: From `ask`.
        rows: Rows that have a target.
    """
    inputs: dict[str, Tensor] = {}
    probes: dict[str, Tensor] = {}

    def catching(name: str) -> Callable[[Tensor, Tensor], Tensor]:
        def change(given: Tensor, gave: Tensor) -> Tensor:
            inputs[name], probes[name] = given.detach(), torch.zeros_like(gave, requires_grad=True)
            return gave + probes[name]

        return change

    with torch.enable_grad(), intervene(lm.model, {name: catching(name) for name in names}):
        found = answers(lm, batch, rows)
        losses = [nll(one, batch.targets[row]) for one, row in zip(found, rows, strict=True)]
        slopes = torch.autograd.grad(torch.stack(losses).sum(), [probes[name] for name in names])
    embed = lm.model.get_input_embeddings()
    out: list[FactGradient] = []
    for i, (row, loss) in enumerate(zip(rows, losses, strict=True)):
        factors = {
            name: _factors(inputs[name], slope, i, len(rows), lm.device)
            for name, slope in zip(names, slopes, strict=True)
        }
        whole = (*batch.ids[row], batch.targets[row][-1])
        with torch.no_grad():
            embedded = embed(torch.tensor(whole, device=lm.device)).float()
        out.append(FactGradient(factors, embedded, float(loss.detach())))
    return out


def _where(reads: Sequence[Sequence[int]], device: torch.device) -> Rows:
    pairs = torch.tensor([(row, column) for row, read in enumerate(reads) for column in read], device=device)
    return Rows(pairs[:, 0], pairs[:, 1])


def _factors(given: Tensor, slope: Tensor, row: int, n_rows: int, device: torch.device) -> Factors:
    # OPT flattens batch and position before its MLP.
    x = given.reshape(n_rows, -1, given.shape[-1])[row].to(device, torch.float32)
    delta = slope.reshape(n_rows, -1, slope.shape[-1])[row].to(device, torch.float32)
    real = (x != 0).any(-1) & (delta != 0).any(-1)  # a gap has no gradient, nor has what nothing later reads
    return Factors(x[real], delta[real])
