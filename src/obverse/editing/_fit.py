"""Train changes of weights by gradient steps on facts; the model's own parameters are never touched.

A change is trained in the way in which it will be applied: added to what its modules give. It is kept in float32 and
rounded to the model's own type in each pass only, so that steps smaller than the type's resolution add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from obverse.core import Config, Fact, Progress
from obverse.editing._fit_rows import Batch, Loss, batch, losses, questions
from obverse.editing.edit import Delta, adder

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


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
    """Train one change until the model says the facts' targets; ``trained.tensors`` are changed in place.

    Args:
        lm: The model; untouched.
        facts: The facts, all trained together.
        trained: What is trained.
        config: Settings.
        label: Name of the progress bar; empty for none.

    Raises:
        EditFailed: If a loss is not a number.
    """
    asked = questions(lm, facts, config.loss)
    layer = lowest_layer(lm, trained.deltas())
    size = config.batch_size
    batches = [batch(lm, asked[start : start + size], layer) for start in range(0, len(asked), size)]
    adam = torch.optim.Adam(trained.tensors, lr=config.learning_rate)
    means: list[float] = []
    last: list[float] = []
    with Progress(label, config.steps) if label else Progress("", 0) as progress:
        for _ in range(config.steps):
            last = [loss for rows in batches for loss in _step(lm, rows, trained, config, adam)]
            means.append(sum(last) / len(last))
            progress.advance(1, f"loss {means[-1]:.2f}")
            if means[-1] < config.stop_loss:
                break
    return Fitted(tuple(means), tuple(last))


def lowest_layer(lm: LanguageModel, modules: Iterable[str]) -> int:
    """Return the lowest layer that holds one of some modules; 0 where one stands outside the layers."""
    blocks = f"{lm.architecture.blocks}."
    return min(int(name.removeprefix(blocks).split(".")[0]) if name.startswith(blocks) else 0 for name in modules)


def _step(lm: LanguageModel, rows: Batch, trained: Trained, config: FitConfig, adam: torch.optim.Adam) -> list[float]:
    """Take one step on one batch; return its facts' losses before it."""
    with torch.enable_grad():
        deltas = trained.deltas()
        changes = {name: adder(delta, lm.weight_of(name).device, lm.dtype) for name, delta in deltas.items()}
        found = losses(lm, rows, changes)
        loss = found.mean()
    if float(loss.detach()) >= config.stop_loss:
        descend(adam, [trained], torch.autograd.grad(loss, trained.tensors), config.weight_decay)
    return found.detach().tolist()


@torch.no_grad()
def descend(
    adam: torch.optim.Adam, changes: Sequence[Trained], gradients: Sequence[Tensor], weight_decay: float
) -> None:
    """Take one step of some changes, and hold them within their bounds.

    Args:
        adam: Adam over the tensors of these changes, and maybe of others, which it passes over.
        changes: The changes.
        gradients: Gradients of all their tensors, in order.
        weight_decay: See `FitConfig.weight_decay`.
    """
    parts = [(one, *pair) for one in changes for pair in zip(one.tensors, one.origins, strict=True)]
    for (_, tensor, origin), gradient in zip(parts, gradients, strict=True):
        whole = tensor if origin is None else tensor + origin.to(tensor.dtype)
        tensor.grad = gradient + weight_decay * whole if weight_decay else gradient
    adam.step()
    for one, tensor, _ in parts:
        tensor.grad = None
        if one.bound is not None:
            tensor.clamp_(-one.bound, one.bound)
