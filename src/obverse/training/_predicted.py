"""Compute logits only where a token is predicted: where few are, most of the last matrix's work is for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from obverse.model.hooks import replace_input
from obverse.training.example import IGNORED, Batch
from obverse.training.objective import Loss


@contextmanager
def only_predicted(head: nn.Module | None, batch: Batch) -> Iterator[None]:
    """Give a model's head only the states from which a label is predicted, while the context is open.

    The model's logits are then (1, predicted, vocab), in the order of rows and positions; `predicted_loss` reads them.

    Args:
        head: The module from hidden states to logits; None leaves the model as it is.
        batch: The batch the model will be run on.
    """
    wanted = batch["labels"][:, 1:] != IGNORED

    def chosen(states: Tensor) -> Tensor:
        return states[:, :-1][wanted.to(states.device)][None] if states.shape[:2] == batch["labels"].shape else states

    with nullcontext() if head is None else replace_input(head, chosen):
        yield


def predicted_loss(logits: Float[Tensor, "rows pos vocab"], batch: Batch) -> Loss:
    """Return the weighted loss of the predicted tokens.

    Args:
        logits: Those of `only_predicted`, or of all positions.
        batch: The batch.
    """
    labels, weights = batch["labels"][:, 1:], batch["token_weights"][:, 1:]
    wanted = labels != IGNORED
    flat = logits[:, :-1][wanted] if logits.shape[:2] == batch["labels"].shape else logits[0]  # predicted vocab
    flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
    costs = nn.functional.cross_entropy(flat, labels[wanted], reduction="none")
    total = (costs * weights[wanted]).sum()
    return Loss(total, wanted.sum().to(total))
