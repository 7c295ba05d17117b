"""Which rows a run learns from, and in which order; all of it follows from the seed, whatever the processes.

How a trainer uses it::

    rows = pack(corpora, objective, tokenizer, PackSettings(length=1024), seed=seed)     # obverse.training.packing
    data = TrainingData(rows, objective, pad_id, seed)
    sampler = DrawSampler(data, group=per_device * processes, count=steps * effective_batch_size)
    DataLoader(data, batch_size=per_device, sampler=sampler, collate_fn=data.collate)

The sampler covers the whole run, so to the trainer a run is one epoch of ``count`` draws (set ``max_steps``; nothing
depends on ``set_epoch``); passes over the corpus follow each other without a seam inside it. A resumed run skips the
draws that it has had. Batches go to the processes in turn, as accelerate deals them, so that two processes with
batches of 4 see together what one sees with batches of 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from obverse.core import ConfigError, DataError
from obverse.training.example import Batch, Example, collate
from obverse.training.objective import Objective

if TYPE_CHECKING:
    from obverse.training.packing import Rows


class Mixture(Protocol):
    """What an objective made of several has besides."""

    shares: Sequence[float]
    """How often each is drawn; they need not add up to 1."""

    def corrupt_for(self, component: int, example: Example, draws: np.random.Generator) -> Example:
        """Return a row as the model is to see it under one of them."""
        ...


class Draw(NamedTuple):
    """A row as it is drawn: what stands in the place of a row's number."""

    row: int
    """Number of the row, from 0."""

    component: int = -1
    """Part of a mixture that it is drawn for; -1 if the objective is no mixture."""

    epoch: int = 0
    """How often all rows have been drawn before."""


class Drawn(NamedTuple):
    """A row as the model is to see it."""

    example: Example
    component: int


class TrainingData(Dataset[Drawn]):
    """Rows of a packed corpus, each corrupted anew at every draw.

    Args:
        rows: What `obverse.training.packing.pack` returned.
        objective: What is trained; set up already.
        pad_id: Id that fills the gaps of a batch.
        seed: The run's; what a row looks like depends on it, the row and the epoch alone.
    """

    def __init__(self, rows: Rows, objective: Objective, pad_id: int, seed: int) -> None:
        self.rows, self.objective, self.pad_id, self.seed = rows, objective, pad_id, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Draw) -> Drawn:
        """Return a row as it is seen at a draw."""
        example = self.rows[draw.row]
        draws = np.random.default_rng((self.seed, draw.row, draw.epoch))
        if draw.component < 0:
            return Drawn(self.objective.corrupt(example, draws), -1)
        mixture: Mixture = self.objective  # pyright: ignore[reportAssignmentType] (a component is drawn for no other)
        return Drawn(mixture.corrupt_for(draw.component, example, draws), draw.component)

    def collate(self, drawn: Sequence[Drawn]) -> Batch:
        """Pad rows into a batch."""
        batch = collate([example for example, _ in drawn], self.pad_id)
        if drawn[0].component >= 0:
            batch["component"] = torch.tensor([component for _, component in drawn])
        return batch


class DrawSampler(Sampler[Draw]):
    """The draws of a whole run.

    Every pass over the rows has an order of its own. Under a mixture the component is drawn for a group of rows at a
    time, so that no batch holds two; a component takes the rows packed for it, or those packed for any.

    Args:
        data: What is drawn from.
        group: Rows that all processes see together: the batch of one times their number.
        count: Draws of the run, in whole steps: rows of a step times steps.

    Raises:
        ConfigError: If the group is not a part of the count, or one of them is no positive number.
        DataError: If there are no rows for a component.
    """

    def __init__(self, data: TrainingData, group: int, count: int) -> None:
        if group < 1 or count < 1 or count % group:
            raise ConfigError(
                f"{count} rows cannot be drawn {group} at a time.", "Draw whole batches: rows of a step times steps."
            )
        self._group, self._count, self._seed = group, count, data.seed
        self._shares = np.asarray(getattr(data.objective, "shares", ()), np.float64)
        self._pools = _pools(data.rows.components, len(self._shares))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Draw]:
        streams = [_passes(pool, (self._seed, place)) for place, pool in enumerate(self._pools)]
        chooser = np.random.default_rng((self._seed, len(streams), 1))
        bounds = (np.cumsum(self._shares) / self._shares.sum())[:-1] if len(self._shares) else None
        for _ in range(self._count // self._group):
            component = -1 if bounds is None else int(np.searchsorted(bounds, chooser.random(), side="right"))
            stream = streams[0 if len(streams) == 1 else component]
            for _ in range(self._group):
                row, epoch = next(stream)
                yield Draw(row, component, epoch)


def _pools(components: np.ndarray, parts: int) -> list[np.ndarray]:
    """Return the rows of each component, or one pool if all share them."""
    shared = np.flatnonzero(components < 0)
    if len(shared) == len(components):
        return [shared]
    own = [np.flatnonzero(components == part) for part in range(parts)]
    pools = [rows if len(rows) else shared for rows in own]
    for part, pool in enumerate(pools):
        if not len(pool):
            raise DataError(
                f"No row of the corpus was packed for component {part + 1} of the mixture.",
                "Give more text, or let its share of the mixture be larger.",
            )
    return pools


def _passes(rows: np.ndarray, seed: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield all rows in an order drawn anew for every pass, with the number of the pass, for ever."""
    epoch = 0
    while True:
        for row in np.random.default_rng((*seed, epoch, 0)).permutation(rows):
            yield int(row), epoch
        epoch += 1
