"""How much of a trace runs at once, so that it keeps within the memory allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from obverse.core import ConfigError
from obverse.locating._cells import Group

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

CPU_TOKENS = 1024
"""Tokens that climb together on a CPU: enough for fast matrix products, few enough to stay in its caches."""

HEAD_ROWS = 1024
"""States that go through the vocabulary projection together, at most."""

RECORDED, CLIMBING, HEAD = 0.5, 0.25, 0.25
"""Shares of the memory: states of the runs, waves, logits."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of what a trace keeps and makes, from the model's shapes.

    Attributes:
        allowed: Bytes in all.
        recorded: Bytes that the runs keep of one token of one corrupted copy.
        passing: Bytes that one token needs on its way through a block.
        keys: Bytes of the keys and values of one token in one block, as they are lent and joined.
        rows_of_head: States a vocabulary projection.
        tokens: Tokens of a wave at most, whatever the memory.
    """

    allowed: float
    recorded: int
    passing: int
    keys: int
    rows_of_head: int
    tokens: float

    @classmethod
    def of(cls, lm: LanguageModel, memory: float, restored: int, severed: int) -> Sizes:
        """Work the sizes out.

        Args:
            lm: The model.
            memory: Gigabytes allowed.
            restored: Number of parts whose writes are restored.
            severed: Number of parts whose writes are held.
        """
        a, config, size = lm.architecture, lm.model.config.get_text_config(), lm.dtype.itemsize
        heads = int(getattr(config, "num_attention_heads", 1))
        head = int(getattr(config, "head_dim", None) or a.hidden // heads)
        keys = 2 * head * int(getattr(config, "num_key_value_heads", None) or heads)
        inner = a.inner or 4 * a.hidden
        passing = size * (8 * a.hidden + 4 * inner + 4 * heads * head)
        runs = 1 + restored
        recorded = size * a.n_layers * (a.hidden * (runs + severed) + keys * (runs + 1)) + runs * passing
        allowed = memory * 1e9
        rows = max(1, min(HEAD_ROWS, int(HEAD * allowed / (12 * lm.vocab))))  # logits, their float32, exponentials
        tokens = float(CPU_TOKENS) if lm.device.type == "cpu" else math.inf
        return cls(allowed, recorded, passing, size * (2 * keys + 4 * heads * head), rows, tokens)

    def batches(self, copies: Sequence[tuple[int, int]], lengths: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
        """Cut corrupted copies, given as (statement, sample), into batches whose runs fit.

        Args:
            copies: The copies; statements from the shortest to the longest.
            lengths: Number of tokens of each statement.

        Raises:
            ConfigError: If a single one does not fit.
        """
        batch: list[tuple[int, int]] = []
        for copy in copies:
            rows = len(batch) + 1 + len({fact for fact, _ in (*batch, copy)})  # a clean row a statement
            if rows * lengths[copy[0]] * self.recorded > RECORDED * self.allowed:
                if not batch:
                    self._refuse(lengths[copy[0]])
                yield batch
                batch = []
            batch.append(copy)
        if batch:
            yield batch

    def _refuse(self, length: int) -> None:
        needed = math.ceil(10 * 2 * length * self.recorded / RECORDED / 1e9) / 10
        raise ConfigError(
            f"A prompt of {length} tokens does not fit into {self.allowed / 1e9:g} GB.",
            f"Allow {needed:g} GB with memory={needed:g} (--memory {needed:g}).",
        )

    def rows_of_wave(self, columns: int, column: int) -> int:
        """Return how many rows may climb together from a column on."""
        suffix = columns - column
        a_row = suffix * self.passing + columns * self.keys
        return max(1, int(min(CLIMBING * self.allowed / a_row, self.tokens / suffix)))


def packed(groups: Sequence[Group], most: int) -> Iterator[list[Group]]:
    """Cut groups of cells into lists of at most ``most`` cells, alike in size; larger groups are taken apart."""
    small = [one for group in groups for one in ([group] if len(group) <= most else _apart(group))]
    cells = sum(len(group) for group in small)
    target = cells / max(1, math.ceil(cells / most))
    chosen: list[Group] = []
    size = 0
    for group in small:
        if chosen and size + len(group) > target + 0.5:
            yield chosen
            chosen, size = [], 0
        chosen, size = [*chosen, group], size + len(group)
    if chosen:
        yield chosen


def _apart(group: Group) -> list[Group]:
    return [(replace(cell, start=group[0].start, branch=False),) for cell in group]


def even(rows: Tensor, most: int) -> Sequence[Tensor]:
    """Cut rows into parts of at most ``most``, alike in size."""
    return rows.tensor_split(max(1, math.ceil(len(rows) / most)))
