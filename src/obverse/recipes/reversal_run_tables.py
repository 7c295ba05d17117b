"""The answers of ``obverse reversal run`` as tables of cells, before they become terminal, Markdown, LaTeX or HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

from obverse.core import Interval
from obverse.measuring.statistics import Paired
from obverse.recipes.repro_reversal_results import REVERSE, WORDINGS
from obverse.recipes.reversal_run_results import BASE, RunResults
from obverse.report.bench_sheets import Cell, Sheet

_ASKED = {"left-to-right": "", "blank": ", as a blank", "fill": ", filled in"}

RIGHT = (
    "Right: every token of the answer is the likeliest, which is what greedy writing gives. In percent of persons, a "
    "person's wordings being one observation, with the exact 95 % interval.",
    "N2D: trained name first, asked for the description; N2D-reverse: the same people, asked for the name. D2N, "
    "D2N-reverse: trained description first. both: trained in both orders.",
)
GAP = (
    "By how many nats the right answer is likelier than another person's, with its bootstrap interval over persons; 0 "
    "is not knowing. p: of the paired t-test that it is 0.",
)
WRITTEN = (
    "What the models wrote. exact: the same words; prefix: the paper's rule; contains: it is in there; f1: shared "
    "words; BLEU of characters, whose floor is high; choice: the right answer is the likeliest of four; trained: some "
    "trained answer was written, right or wrong. In percent of persons.",
)
CHANGE = (
    f"Gap and share of right answers less those of {BASE}, paired by person, with 95 % bootstrap intervals; p: of a "
    "sign-flip permutation test.",
)


def sheets(results: RunResults) -> list[Sheet]:
    """Return all tables of a run."""
    found = [_right(results, wordings) for wordings in reversed(WORDINGS)]
    found += [_gaps(results, wordings) for wordings in reversed(WORDINGS)]
    return [sheet for sheet in [*found, _written(results), _against(results)] if sheet.rows]


def named(objective: str, way: str) -> str:
    """Return an objective as it is called in tables, with the way its models are asked."""
    return objective + _ASKED[way]


def _there(results: RunResults, wordings: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield each objective and way with the subtasks that were asked."""
    for name, way in results.ways:
        subtasks = tuple(one for one in results.subtasks if (name, way, wordings, one) in results.summaries)
        if subtasks:
            yield name, way, subtasks


def _right(results: RunResults, wordings: str) -> Sheet:
    rows = [
        (
            Cell(named(name, way)),
            *(
                percent_cell(results.summaries[name, way, wordings, one].values["greedy"])
                if one in there
                else Cell("-")
                for one in results.subtasks
            ),
            Cell(f"{results.seconds(name):.0f}"),
        )
        for name, way, there in _there(results, wordings)
    ]
    title = f"Right answers, {wordings} wordings{people(results)}"
    legend = (*RIGHT, "seconds: of training a model, by the clock.")
    return Sheet(title, ("objective", *results.subtasks, "seconds"), tuple(rows), legend)


def _gaps(results: RunResults, wordings: str) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for name, way, there in _there(results, wordings):
        cells: list[Cell] = []
        for one in results.subtasks:
            against = results.summaries[name, way, wordings, one].logprobs if one in there else None
            if against is None:
                cells.append(Cell("-"))
                continue
            p = f"; p {p_text(against.paired_t)}" if one in REVERSE else ""
            cells.append(nats_cell(against.gap, p))
        rows.append((Cell(named(name, way)), *cells))
    title = f"Right against random answers in nats, {wordings} wordings{people(results)}"
    return Sheet(title, ("objective", *results.subtasks), tuple(rows), GAP)


def _written(results: RunResults) -> Sheet:
    columns = ("exact", "prefix", "contains", "f1", "char_bleu", "choice", "trained")
    rows = [
        (
            Cell(named(name, way)),
            Cell(subtask),
            *(percent_cell(values[one]) if one in values else Cell("-") for one in columns),
        )
        for name, way, there in _there(results, "held-out")
        for subtask in REVERSE
        if subtask in there and "exact" in (values := results.summaries[name, way, "held-out", subtask].values)
    ]
    names = ("exact", "prefix", "contains", "f1", "BLEU", "choice", "trained")
    return Sheet(
        "Written answers in reverse, held-out wordings", ("objective", "subtask", *names), tuple(rows), WRITTEN
    )


def _against(results: RunResults) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for name, way, there in _there(results, "held-out"):
        for subtask in there:
            place = (name, way, "held-out", subtask)
            right, gap = results.against_base(place, "right"), results.against_base(place, "gap")
            if right is None or gap is None:
                continue
            share = Cell(
                _points(right.difference), f"{_points(right.low)} to {_points(right.high)}", False, right.difference
            )
            rows.append(
                (Cell(named(name, way)), Cell(subtask), share, nats_cell(gap, f"; p {p_text(gap.p)}"), Cell(str(gap.n)))
            )
    head = ("objective", "subtask", "right, points", "gap, nats", "persons")
    return Sheet(f"Against {BASE}, held-out wordings", head, tuple(rows), CHANGE)


def people(results: RunResults) -> str:
    """Return the number of persons in words, where it is the same for all."""
    counts = {one.people for one in results.summaries.values()}
    return f" ({counts.pop()} persons a group)" if len(counts) == 1 else ""


def percent_cell(found: Interval) -> Cell:
    """Return a share as a cell, in percent."""
    return Cell(f"{found.mean * 100:.0f}", f"{found.low * 100:.0f} to {found.high * 100:.0f}", False, found.mean)


def nats_cell(found: Paired, more: str = "") -> Cell:
    """Return a difference of log-probabilities as a cell, in nats."""
    return Cell(f"{found.difference:.1f}", f"{found.low:.1f} to {found.high:.1f}{more}", False, found.difference)


def p_text(p: float) -> str:
    """Return a p-value as text."""
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.2g}"


def _points(value: float) -> str:
    return f"{value * 100:+.0f}"


COLUMNS = ("objective", "asked", "wordings", "subtask", "metric", "mean", "low", "high", "n")
"""Of the CSV file."""


def csv_text(results: RunResults) -> str:
    """Return a line an objective, way, wordings, subtask and metric: exact numbers, as in ``summary.json``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, one in results.summaries.items():
        for name, found in one.values.items():
            writer.writerow((*place, name, repr(found.mean), repr(found.low), repr(found.high), found.n))
        if one.logprobs is not None:
            gap = one.logprobs.gap
            writer.writerow((*place, "gap", repr(gap.difference), repr(gap.low), repr(gap.high), gap.n))
    return out.getvalue()
