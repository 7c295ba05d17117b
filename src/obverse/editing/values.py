"""Find the value to write: the MLP output at the lookup token that makes the model say the target.

ROME, section 3.1, eq. 4; settings in the appendix, E.5. For one fact with contexts x_1..x_n and target o:

    L(delta) = mean_j -log p(o | x_j, m + delta) + kl · KL(p' || p after the essence prompt) + decay · |delta| / |m|²

Many facts are optimized side by side: each has its own delta, its own Adam state and its own stopping, so the result of
one does not depend on the others. Only the blocks above the layer, the tokens from the lookup token on and the logits
at target positions are computed (`model.partial`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from obverse.core import Config, EditFailed, Progress
from obverse.editing._rows import Looked, Row, mlp_write
from obverse.model.partial import Rows, Suffix, logits

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclass(frozen=True, slots=True)
class _Batch:
    """The rows of the facts still being optimized, and what their losses need."""

    suffix: Suffix
    values: Float[Tensor, "row hidden"]
    read: Rows
    row_fact: Int[Tensor, " row"]
    read_fact: Int[Tensor, " token"]
    targets: Int[Tensor, " token"]
    weights: Float[Tensor, " token"]
    is_target: Tensor
    initial: Float[Tensor, "fact vocab"]
    clean_write: Float[Tensor, "row hidden"]


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
    batch = _batch(looked, active, write)
    with Progress(label, config.steps) if label else Progress("", 0) as progress:
        for step in range(config.steps):
            with torch.enable_grad():
                terms = _losses(lm, batch, torch.stack([deltas[i] for i in active]), initial[active], write, config)
            _record(history, active, terms, [deltas[i] for i in active])
            going = [i for i in active if history[i][-1].loss >= config.stop_loss]
            if not going or step == config.steps - 1:
                break
            _descend(adam, deltas, active, going, terms[0])
            _clamp(deltas, going, initial, config.clamp)
            if going != active:
                batch = _batch(looked, going, write)
            active = going
            progress.advance(1, f"loss {max(history[i][-1].loss for i in active):.2f}")
    return [Value(initial[i], deltas[i].detach(), tuple(history[i])) for i in range(n_facts)]


def _batch(looked: Looked, facts: Sequence[int], write: Callable[[Tensor], Tensor]) -> _Batch:
    order = {fact: i for i, fact in enumerate(facts)}
    chosen = [i for i, row in enumerate(looked.rows) if row.fact in order]
    device = looked.values.device
    tensor = lambda items, dtype=torch.long: torch.tensor(items, dtype=dtype, device=device)  # noqa: E731
    reads = [(n, row, read, t) for n, i in enumerate(chosen) for row in [looked.rows[i]] for read, t in _reads(row)]
    contexts = {fact: sum(row.fact == fact and bool(row.targets) for row in looked.rows) for fact in facts}
    index = tensor(chosen)
    suffix = looked.suffix if len(chosen) == len(looked.rows) else looked.suffix.select(index)
    values = looked.values[index]
    return _Batch(
        suffix=suffix,
        values=values,
        read=Rows(tensor([n for n, *_ in reads]), tensor([read - row.lookup for _, row, read, _ in reads])),
        row_fact=tensor([order[looked.rows[i].fact] for i in chosen]),
        read_fact=tensor([order[row.fact] for _, row, _, _ in reads]),
        targets=tensor([max(t, 0) for *_, t in reads]),
        weights=tensor([1 / (contexts[row.fact] * max(len(row.targets), 1)) for _, row, _, _ in reads], torch.float32),
        is_target=tensor([t >= 0 for *_, t in reads], torch.bool),
        initial=looked.initial[tensor(list(facts))].float().log_softmax(-1),
        clean_write=write(values),
    )


def _reads(row: Row) -> list[tuple[int, int]]:
    # -1 marks an essence row
    return list(zip(row.reads, row.targets or (-1,), strict=True))


def _losses(
    lm: LanguageModel,
    batch: _Batch,
    delta: Float[Tensor, "fact hidden"],
    initial: Float[Tensor, "fact hidden"],
    write: Callable[[Tensor], Tensor],
    config: ValueConfig,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss, nll, kl and decay of each fact."""
    n_facts = len(delta)
    changed = write(batch.values + delta.to(batch.values.dtype)[batch.row_fact]) - batch.clean_write
    hidden = batch.suffix.hidden
    hidden = torch.cat([(hidden[:, 0] + changed)[:, None], hidden[:, 1:]], 1)
    found = logits(lm.model, lm.architecture, batch.suffix, hidden, batch.read).float()
    chosen = batch.is_target
    token_nll = functional.cross_entropy(found[chosen], batch.targets[chosen], reduction="none")
    nll = delta.new_zeros(n_facts).index_add(0, batch.read_fact[chosen], token_nll * batch.weights[chosen])
    kl = nll.new_zeros(n_facts)
    if config.kl_factor:
        now = found[~chosen].log_softmax(-1)
        divergence = functional.kl_div(batch.initial, now, reduction="none", log_target=True).sum(-1)
        kl = kl.index_add(0, batch.read_fact[~chosen], config.kl_factor * divergence)
    decay = config.weight_decay * delta.norm(dim=-1) / initial.norm(dim=-1).square()
    return nll + kl + decay, nll, kl, decay


def _record(
    history: list[list[Step]], active: Sequence[int], terms: tuple[Tensor, ...], deltas: Sequence[Tensor]
) -> None:
    rows = torch.stack([term.detach() for term in terms]).T.tolist()
    for fact, (loss, nll, kl, decay), delta in zip(active, rows, deltas, strict=True):
        if not torch.isfinite(torch.tensor(loss)):
            raise EditFailed(
                f"The loss became {loss} at evaluation {len(history[fact]) + 1}; the edit was given up; the model is "
                "untouched.",
                "Lower the learning rate (--set learning_rate=0.1), or check the model's weights for NaN.",
            )
        history[fact].append(Step(loss, nll, kl, decay, float(delta.detach().norm())))


def _descend(
    adam: torch.optim.Adam, deltas: Sequence[Tensor], active: Sequence[int], going: Sequence[int], losses: Tensor
) -> None:
    chosen = [i for i, fact in enumerate(active) if fact in set(going)]
    gradients = torch.autograd.grad(losses[chosen].sum(), [deltas[i] for i in going])
    for delta in deltas:
        delta.grad = None  # Adam passes over facts that are done
    for fact, gradient in zip(going, gradients, strict=True):
        deltas[fact].grad = gradient
    adam.step()


@torch.no_grad()
def _clamp(deltas: Sequence[Tensor], going: Sequence[int], initial: Tensor, clamp: float) -> None:
    for fact in going:
        limit = clamp * initial[fact].norm()
        norm = deltas[fact].norm()
        if norm > limit:
            deltas[fact].mul_(limit / norm)
