"""The cells of a trace, and how those of one token are run together (rome.md 1.4, 1.5).

A cell restores something at one token, from one layer on. It begins in the first block that it changes and whose
change is not known yet; below that block and left of that token all is as in the corrupted run. Windows that are
clipped at the bottom begin alike: the longest of them runs, and the shorter ones branch off where they end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from obverse.locating._runs import PARTS, Part, Runs
from obverse.locating.trace import TraceKind, window_of
from obverse.model.hooks import Site, intervene
from obverse.model.staged import climb, mlp_module, mlp_sees

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Cell:
    """What is restored at a token.

    Attributes:
        kind: What the cell belongs to.
        layer: Its layer, or the centre of its window.
        start: The first block that runs; the number of blocks if none has to.
        part: Part whose writes are restored or held; None for a plain state.
        stop: The first block from which on that part runs freely.
        held: Whether the part is held at its corrupted values, not restored to its clean ones.
        branch: Whether the cell goes on from the first one of its group.
    """

    kind: TraceKind
    layer: int
    start: int
    part: Part | None = None
    stop: int = 0
    held: bool = False
    branch: bool = False


Group = tuple[Cell, ...]
"""Cells that must run together: the first one and those that branch off from it."""


def groups_of(kinds: Sequence[TraceKind], n_layers: int, window: int) -> list[Group]:
    """Return the cells of one token, in the order in which they begin."""
    groups: list[Group] = []
    for kind in kinds:
        if kind in PARTS:
            groups += _windows(kind, n_layers, window)
            continue
        part: Part | None = next((one for one in PARTS if kind == f"severed-{one}"), None)
        groups += [(Cell(kind, layer, layer + 1, part, n_layers, held=part is not None),) for layer in range(n_layers)]
    return sorted(groups, key=lambda group: group[0].start)


def _windows(part: Part, n_layers: int, window: int) -> Iterator[Group]:
    by_start: dict[int, list[tuple[int, int]]] = {}
    for layer in range(n_layers):
        layers = window_of(layer, window, n_layers)
        by_start.setdefault(layers.start, []).append((layers.stop, layer))
    for start, ends in by_start.items():
        (stop, layer), *shorter = sorted(ends, reverse=True)
        first = Cell(part, layer, start + 1, part, stop)
        yield (first, *(Cell(part, centre, end, part, end, branch=True) for end, centre in shorter))


@dataclass(frozen=True, slots=True)
class Wave:
    """Cells at one column that climb together.

    Attributes:
        runs: The runs they start from.
        column: The token, counted from the first column.
        rows: Corrupted rows in which they are restored; all cells have the same ones.
        groups: The cells.
    """

    runs: Runs
    column: int
    rows: Int[Tensor, " row"]
    groups: Sequence[Group]

    def order(self) -> list[tuple[Cell, int]]:
        """Return the cells in the order in which they begin, each with the place of the one it branches off from."""
        listed = sorted(
            ((cell, group[0]) for group in self.groups for cell in group),
            key=lambda pair: (pair[0].start, pair[0].branch),
        )
        place = {(cell.kind, cell.layer): i for i, (cell, _) in enumerate(listed)}
        return [(cell, place[first.kind, first.layer]) for cell, first in listed]


def run_wave(lm: LanguageModel, wave: Wave) -> tuple[list[Cell], Float[Tensor, "cell row hidden"]]:
    """Run the cells of a wave; return them in their order with the last block's output at the last column."""
    order = wave.order()
    cells, per_cell, n_layers = [cell for cell, _ in order], len(wave.rows), lm.architecture.n_layers
    counts = [0] * (n_layers + 1)
    for cell in cells:
        counts[cell.start] += per_cell

    def begin(layer: int, states: Tensor | None) -> Tensor:
        running = [] if states is None else list(states.split(per_cell))
        new: list[Tensor] = []
        for cell, place in order:
            if cell.start == layer:
                new.append([*running, *new][place] if cell.branch else _first_states(wave, cell))
        return torch.cat(new)

    rows = wave.rows.repeat(len(cells))
    with _restoring(lm, wave, cells):
        states = climb(lm.model, lm.architecture, wave.runs.prefix, wave.column, rows, counts, begin)
    return cells, states.reshape(len(cells), per_cell, -1)


def _first_states(wave: Wave, cell: Cell) -> Tensor:
    """Return the states with which a cell begins, (row, suffix, hidden)."""
    runs, rows, below = wave.runs, wave.rows, cell.start - 1
    begun = runs.corrupted[below][rows, wave.column :]
    if cell.part is None or cell.held:
        begun[:, 0] = runs.clean[below][runs.fact_of[rows], wave.column]
    else:
        begun[:, 0] = runs.entry[cell.part][below][rows, wave.column]
    return begun


@contextmanager
def _restoring(lm: LanguageModel, wave: Wave, cells: Sequence[Cell]) -> Iterator[None]:
    """Restore and hold what the cells restore and hold, while the context is open."""
    a = lm.architecture
    suffix = wave.runs.columns - wave.column
    with ExitStack() as stack:
        for layer in range(cells[0].start, a.n_layers):
            changed: dict[Part, list[int]] = {}
            for i, cell in enumerate(cells):
                if cell.part and cell.start <= layer < cell.stop:
                    changed.setdefault(cell.part, []).append(i)
            unneeded = torch.tensor(changed.get("mlp", []), dtype=torch.long)
            last = layer == a.n_layers - 1
            if len(unneeded) or (last and suffix > 1):
                chosen = partial(_needed, unneeded, len(wave.rows), last)
                stack.enter_context(mlp_sees(lm.model, a, layer, chosen))
            for part, places in changed.items():
                change = partial(_put, wave, cells, places, part, layer)
                stack.enter_context(intervene(lm.model, {_write(lm, layer, part): change}))
        yield


def _write(lm: LanguageModel, layer: int, part: Part) -> str:
    """Return the module whose output a part writes; of an MLP that computes some tokens only, the whole of it."""
    name = Site(layer, part).module(lm.architecture)
    whole = mlp_module(lm.model, lm.architecture, layer) if part == "mlp" else None
    return whole if whole and name.startswith(f"{whole}.") else name


def _put(
    wave: Wave, cells: Sequence[Cell], places: Sequence[int], part: Part, layer: int, _: Tensor, output: Tensor
) -> Tensor:
    """Put clean or corrupted writes in place of what some cells' rows write at the first column."""
    runs, rows = wave.runs, wave.rows
    written = output.view(-1, len(rows), runs.columns - wave.column, output.shape[-1])
    for held in (False, True):
        chosen = [i for i in places if cells[i].held == held]
        if chosen and held:
            # Departs from the original, which draws new noise for this: the values held are this very sample's.
            written[chosen, :, 0] = runs.corrupted_write[part][layer][rows, wave.column]
        elif chosen:
            written[chosen, :, 0] = runs.clean_write[part][layer][runs.fact_of[rows], wave.column]
    return written.view(output.shape)


def _needed(unneeded: Tensor, per_cell: int, last: bool, states: Tensor) -> Tensor:
    """Return which tokens of an MLP's input are needed: not those replaced; in the last block the last one only."""
    needed = states.new_ones(states.shape[:2], dtype=torch.bool)
    needed.view(-1, per_cell, states.shape[1])[unneeded, :, 0] = False
    if last:
        needed[:, :-1] = False
    return needed
