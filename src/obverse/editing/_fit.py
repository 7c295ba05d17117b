"""Train changes of weights by gradient steps on facts; the model's own parameters are never touched.

A change is trained in the way in which it will be applied: added to what its modules give. It is kept in float32 and
rounded to the model's own type in each pass only, so that steps smaller than the type's resolution add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from obverse.core import Config, EditFailed, Fact, Progress
from obverse.editing.edit import Delta, adder
from obverse.model.hooks import intervene
from obverse.model.partial import head_sees
from obverse.model.tokens import Joined, Padded, join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Loss = Literal["bag", "sequence"]
"""How a target of several tokens is asked for: all its tokens at the prompt's last position, in no order, as ROME's
fine-tuning baselines do (`bag`), or each at its own position after the ones before it (`sequence`). The two are the
same for a target of one token."""


class FitConfig(Config):
    """Settings of training."""

    layers: tuple[int, ...] | None = None
    """Layers to train, from 0, all together; by default the method's rule."""
    steps: int = 25
    """Passes over all facts at most, each followed by a step (ROME's baselines: 25)."""
    learning_rate: float = 5e-4
    """Adam's learning rate (ROME's baselines: 5e-4, for attention 1e-3)."""
    weight_decay: float = 0.0
    """Adam's L2 decay of what is trained: the whole weight, not its change (ROME's baselines: 0)."""
    batch_size: int = 128
    """Facts in one step (ROME's baselines: 128); fewer need less memory."""
    stop_loss: float = 0.01
    """Loss in nats a token: a batch below it takes no step, and training ends when the mean over all facts is below it
    (ROME's code: 0.01; its paper says 0.03)."""
    loss: Loss = "bag"
    """`bag`: all tokens of the target at the prompt's last position (ROME's baselines); `sequence`: the causal loss of
    the target, each token at its own position, the prompt masked."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What is trained.

    Attributes:
        tensors: Tensors that ask for gradients.
        deltas: Makes the changes of weights they stand for, by module name.
        origins: What the tensors are added to, for weight decay; None where they stand for themselves.
        bound: Largest absolute entry a tensor may have; None for none.
    """

    tensors: Sequence[Tensor]
    deltas: Callable[[], Mapping[str, Delta]]
    origins: Sequence[Tensor | None]
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """How training went.

    Attributes:
        losses: Mean loss over facts at each pass, in nats, before the step that follows it.
        last: Loss of each fact at the last pass.
    """

    losses: tuple[float, ...]
    last: tuple[float, ...]


def fit(lm: LanguageModel, facts: Sequence[Fact], trained: Trained, config: FitConfig, label: str = "") -> Fitted:
    """Train changes until the model says the facts' targets; ``trained.tensors`` are changed in place.

    Args:
        lm: The model; untouched.
        facts: The facts, all trained together.
        trained: What is trained.
        config: Settings.
        label: Name of the progress bar; empty for none.

    Raises:
        EditFailed: If a loss is not a number.
    """
    chunks = [facts[i : i + config.batch_size] for i in range(0, len(facts), config.batch_size)]
    batches = [_batch(lm, chunk, config.loss) for chunk in chunks]
    adam = torch.optim.Adam(trained.tensors, lr=config.learning_rate)
    means: list[float] = []
    last: list[float] = []
    with Progress(label, config.steps) if label else Progress("", 0) as progress:
        for _ in range(config.steps):
            last = [loss for batch in batches for loss in _step(lm, batch, trained, config, adam)]
            means.append(sum(last) / len(last))
            progress.advance(1, f"loss {means[-1]:.2f}")
            if means[-1] < config.stop_loss:
                break
    return Fitted(tuple(means), tuple(last))


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of tokens, the states to read, and which tokens should follow them.

    Attributes:
        rows: The rows, one a fact.
        read: (row, column) of each state that is read.
        targets: Number of the state, token that should follow it, and number of the fact.
        weights: Weight of each target in its fact's loss; they sum to 1.
        facts: Number of facts.
    """

    rows: Padded
    read: Int[Tensor, "2 read"]
    targets: Int[Tensor, "3 token"]
    weights: Float[Tensor, " token"]
    facts: int


def _batch(lm: LanguageModel, facts: Sequence[Fact], loss: Loss) -> _Batch:
    joined = join_all(lm.tokenizer, [(fact.text, fact.target) for fact in facts])
    read: list[tuple[int, int]] = []
    targets: list[tuple[int, int, int]] = []
    for i, row in enumerate(joined):
        for place in row.target:
            if loss == "sequence" or place == row.target.start:
                read.append((i, place - 1))
            targets.append((len(read) - 1, row.encoded.ids[place], i))
    ids = [row.encoded.ids[: _length(row, loss)] for row in joined]
    weights = [1 / len(joined[i].target) for *_, i in targets]
    return _Batch(
        rows=pad(ids, pad_id(lm.tokenizer), lm.device),
        read=torch.tensor(read, device=lm.device).T,
        targets=torch.tensor(targets, device=lm.device).T,
        weights=torch.tensor(weights, device=lm.device),
        facts=len(facts),
    )


def _length(row: Joined, loss: Loss) -> int:
    return row.target.start if loss == "bag" else row.target.stop - 1


def _step(lm: LanguageModel, batch: _Batch, trained: Trained, config: FitConfig, adam: torch.optim.Adam) -> list[float]:
    """Take one step on one batch; return its facts' losses before it."""
    with torch.enable_grad():
        losses = _losses(lm, batch, trained.deltas())
        loss = losses.mean()
    if not math.isfinite(value := float(loss.detach())):
        raise EditFailed(
            f"The loss became {value}; the edit was given up; the model is untouched.",
            "Lower the learning rate (--set learning_rate=0.0001), or check the model's weights for NaN.",
        )
    if value >= config.stop_loss:
        _descend(adam, trained, torch.autograd.grad(loss, trained.tensors), config.weight_decay)
    return losses.detach().tolist()


@torch.no_grad()
def _descend(adam: torch.optim.Adam, trained: Trained, gradients: Sequence[Tensor], decay: float) -> None:
    for tensor, origin, gradient in zip(trained.tensors, trained.origins, gradients, strict=True):
        whole = tensor if origin is None else tensor + origin
        tensor.grad = gradient + decay * whole if decay else gradient
    adam.step()
    for tensor in trained.tensors:
        tensor.grad = None
        if trained.bound is not None:
            tensor.clamp_(-trained.bound, trained.bound)


def _losses(lm: LanguageModel, batch: _Batch, deltas: Mapping[str, Delta]) -> Float[Tensor, " fact"]:
    """Return each fact's mean of -log p over its target's tokens."""
    changes = {name: adder(delta, lm.weight_of(name).device, lm.dtype) for name, delta in deltas.items()}
    rows, columns = batch.read
    with intervene(lm.model, changes), head_sees(lm.model, rows, columns):
        output = lm.model(input_ids=batch.rows.ids, attention_mask=batch.rows.mask, use_cache=False)
    logprobs = output.logits[0].float().log_softmax(-1)
    place, token, fact = batch.targets.to(logprobs.device)
    nll = -logprobs[place, token] * batch.weights.to(logprobs.device)
    return nll.new_zeros(batch.facts).index_add(0, fact, nll)
