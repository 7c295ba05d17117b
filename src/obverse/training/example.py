"""A row of training data, before and after it is padded into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORED = -100
"""Label of a position that is not predicted."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row of tokens. Every array has one entry a position.

    Attributes:
        ids: Input tokens.
        labels: The token to predict *from the position before*, `IGNORED` for none; need not be the input token.
        scores: Misalignment of the segment each token belongs to.
        weights: Factor on the loss of each label.
        visible: Whether any position may attend here; False for placeholders.
        positions: Position ids; 0, 1, ... if None.
        prefix: Length of the leading part that every position sees whole (GLM's part A); 0 for a causal row.
        spans: Positions [start, end) of the entities that the documents name, in order; what is masked or moved whole.
    """

    ids: Int[np.ndarray, " pos"]
    labels: Int[np.ndarray, " pos"]
    scores: Float[np.ndarray, " pos"]
    weights: Float[np.ndarray, " pos"]
    visible: Bool[np.ndarray, " pos"]
    positions: Int[np.ndarray, " pos"] | None = None
    prefix: int = 0
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, ids: Sequence[int] | np.ndarray, scores: Sequence[float] | np.ndarray | None = None) -> Example:
        """Return the next-token example of a row: each token is the label of the position before it."""
        tokens = np.asarray(ids, np.int64)
        given = np.zeros(len(tokens)) if scores is None else np.asarray(scores)
        return cls(tokens, tokens, given.astype(np.float32), np.ones(len(tokens), np.float32), tokens >= 0)


class Batch(TypedDict):
    """Rows padded to one length, on the right.

    ``attention_mask`` is 1 where a position may be attended to: 0 for padding and placeholders. ``prefix`` and
    ``position_ids`` are there if a row needs them.
    """

    input_ids: Int[Tensor, "batch pos"]
    labels: Int[Tensor, "batch pos"]
    attention_mask: Int[Tensor, "batch pos"]
    token_scores: Float[Tensor, "batch pos"]
    token_weights: Float[Tensor, "batch pos"]
    position_ids: NotRequired[Int[Tensor, "batch pos"]]
    prefix: NotRequired[Int[Tensor, " batch"]]
    component: NotRequired[Int[Tensor, " batch"]]
    """Which part of a mixture each row was drawn for; one number in a batch."""


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad rows into a batch; padding is never attended to, predicted or counted."""
    length = max(len(example.ids) for example in examples)

    def padded(rows: Sequence[np.ndarray], fill: float) -> Tensor:
        out = np.full((len(rows), length), fill, dtype=rows[0].dtype)
        for row, values in zip(out, rows, strict=True):
            row[: len(values)] = values
        return torch.from_numpy(out)

    batch = Batch(
        input_ids=padded([e.ids for e in examples], pad_id),
        labels=padded([e.labels for e in examples], IGNORED),
        attention_mask=padded([e.visible.astype(np.int64) for e in examples], 0),
        token_scores=padded([e.scores for e in examples], 0),
        token_weights=padded([e.weights for e in examples], 0),
    )
    if any(e.positions is not None for e in examples):
        rows = [np.arange(len(e.ids)) if e.positions is None else e.positions for e in examples]
        batch["position_ids"] = padded(rows, 0)
    if any(e.prefix for e in examples):
        batch["prefix"] = torch.tensor([e.prefix for e in examples])
    return batch
