"""Find the value to write: the MLP output at the lookup token that makes the model say the target.

ROME, section 3.1, eq. 4; settings in the appendix, E.5. For one fact with contexts x_1..x_n and target o:

    L(delta) = mean_j -log p(o | x_j, m + delta) + kl · KL(p' || p after the essence prompt) + decay · |delta| / |m|²

Many facts are optimized side by side: each has its own delta, its own Adam state and its own stopping, so the result of
one does not depend on the others. Only the blocks above the layer, the tokens from the lookup token on and the logits
at target positions are computed (`model.partial`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import Config, EditFailed, Progress
from obverse.editing._passes import Pass, divided
from obverse.editing._rows import Looked, mlp_write
from obverse.editing._surprise import surprise
from obverse.model.partial import logits

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class ValueConfig(Config):
    """Settings of value optimization.

    Defaults are ROME's released ones, save for clamp and decay: those were measured on the two built-in models, where
    the published ones overshoot (docs/layers.md).
    """

    steps: int = 20
    """Evaluations of the loss at most, at least 1; the last takes no step (ROME: 20)."""
    learning_rate: float = 0.5
    """Adam's learning rate (ROME: 0.5; FastEdit: 0.1)."""
    weight_decay: float = 0.0
    """Weight of |delta| / |m|² (ROME's code: 0.5; its paper says 1.5e-3). The term has the unit of 1 / |m|: with 0.5 no
    fact ever reaches the stopping loss on a model whose |m| is small."""
    clamp: float = 1.25
    """Largest |delta| as a multiple of |m| (ROME: 4 for GPT-2 XL, 3 for GPT-2 medium)."""
    kl_factor: float = 0.0625
    """Weight of the KL divergence after the essence prompt (ROME: 0.0625)."""
    stop_loss: float = 0.05
    """A fact is done when its loss is below this (ROME: 0.05)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation of a fact's loss, in nats; the norm is delta's before the evaluation."""

    loss: float
    nll: float
    kl: float
    decay: float
    norm: float


@dataclass(frozen=True, slots=True)
class Value:
    """The result for one fact.

    Attributes:
        initial: MLP output at the lookup token of the bare prompt.
        delta: What to add to it.
        steps: Every evaluation of the loss.
    """

    initial: Float[Tensor, " hidden"]
    delta: Float[Tensor, " hidden"]
    steps: tuple[Step, ...]

    @property
    def target(self) -> Float[Tensor, " hidden"]:
        """The value to write, v*."""
        return self.initial + self.delta


def optimize(lm: LanguageModel, layer: int, looked: Looked, config: ValueConfig, label: str = "") -> list[Value]:
    """Optimize one value a fact.

    Args:
        lm: The model; untouched.
        layer: The layer whose MLP output is changed.
        looked: The rows after one full pass, from `look`.
        config: Settings.
        label: Name of the progress bar; empty for none.

    Returns:
        One value a fact, in order.

    Raises:
        EditFailed: If a loss is not a number; nothing has been changed.
    """
    n_facts = looked.rows[-1].fact + 1
    first = [next(i for i, row in enumerate(looked.rows) if row.fact == fact) for fact in range(n_facts)]
    initial = looked.values[first].detach().float()
    deltas = [torch.zeros_like(value, requires_grad=True) for value in initial]
    adam = torch.optim.Adam(deltas, lr=config.learning_rate)
    history: list[list[Step]] = [[] for _ in range(n_facts)]
    active = list(range(n_facts))
    write = mlp_write(lm, layer)
    essence = config.kl_factor != 0
    passes = divided(looked, active, write, essence)
    with Progress(label, config.steps) if label else Progress("", 0) as progress:
        for step in range(config.steps):
            last, going = step == config.steps - 1, list[int]()
            for one in passes:
                with torch.set_grad_enabled(not last):
                    terms = _losses(lm, one, torch.stack([deltas[i] for i in one.facts]), initial, write, config)
                _record(history, one.facts, terms, deltas)
                unfinished = [i for i in one.facts if history[i][-1].loss >= config.stop_loss]
                if unfinished and not last:
                    _slopes(deltas, one.facts, unfinished, terms[0])
                going += unfinished
            if last or not going:
                break
            adam.step()
            adam.zero_grad()  # Adam passes over facts that are done
            _clamp(deltas, going, initial, config.clamp)
            if len(going) < len(active):
                passes = divided(looked, going, write, essence)
            active = going
            progress.advance(1, f"loss {max(history[i][-1].loss for i in active):.2f}")
    return [Value(initial[i], deltas[i].detach(), tuple(history[i])) for i in range(n_facts)]


def _losses(
    lm: LanguageModel,
    one: Pass,
    delta: Float[Tensor, "fact hidden"],
    initial: Float[Tensor, "all_facts hidden"],
    write: Callable[[Tensor], Tensor],
    config: ValueConfig,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss, nll, kl and decay of each fact of a pass."""
    changed = write(one.values + delta.to(one.values.dtype)[one.row_fact]) - one.clean_write
    hidden = one.suffix.hidden
    hidden = torch.cat([(hidden[:, 0] + changed)[:, None], hidden[:, 1:]], 1)
    with one.edited():
        found = logits(lm.model, lm.architecture, one.suffix, hidden, one.read)
    token_nll, divergence = surprise(found.float(), one.targets, one.reference)
    nll = delta.new_zeros(len(delta)).index_add(0, one.read_fact, token_nll * one.weights)
    kl = config.kl_factor * divergence if config.kl_factor else torch.zeros_like(nll)
    decay = config.weight_decay * delta.norm(dim=-1) / initial[list(one.facts)].norm(dim=-1).square()
    return nll + kl + decay, nll, kl, decay


def _record(
    history: list[list[Step]], facts: Sequence[int], terms: tuple[Tensor, ...], deltas: Sequence[Tensor]
) -> None:
    rows = torch.stack([term.detach() for term in terms]).T.tolist()
    for fact, (loss, nll, kl, decay) in zip(facts, rows, strict=True):
        if not math.isfinite(loss):
            raise EditFailed(
                f"The loss became {loss} at evaluation {len(history[fact]) + 1}; the edit was given up; the model is "
                "untouched.",
                "Lower the learning rate (--set learning_rate=0.1), or check the model's weights for NaN.",
            )
        history[fact].append(Step(loss, nll, kl, decay, float(deltas[fact].detach().norm())))


def _slopes(deltas: Sequence[Tensor], facts: Sequence[int], unfinished: Sequence[int], losses: Tensor) -> None:
    chosen = [i for i, fact in enumerate(facts) if fact in set(unfinished)]
    gradients = torch.autograd.grad(losses[chosen].sum(), [deltas[i] for i in unfinished])
    for fact, gradient in zip(unfinished, gradients, strict=True):
        deltas[fact].grad = gradient


@torch.no_grad()
def _clamp(deltas: Sequence[Tensor], going: Sequence[int], initial: Tensor, clamp: float) -> None:
    for fact in going:
        limit = clamp * initial[fact].norm()
        norm = deltas[fact].norm()
        if norm > limit:
            deltas[fact].mul_(limit / norm)
