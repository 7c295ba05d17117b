"""A benchmark's tables as cells of text, before they become terminal, Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from obverse.core import Interval
from obverse.report.bench_rows import SHOWN, BenchReport, Comparison, Row, best
from obverse.verifying.scores import SCORES

FAILURES = (
    "A failed edit counts with the unedited model's values, which its user would be left with; a broken one gave "
    "numbers that are not finite."
)

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Success: the right answer is likelier than its rival",
     ("score", "efficacy_success", "generalization_success", "specificity_success", "reverse_success")),
    ("Magnitude: by how much",
     ("efficacy_magnitude", "generalization_magnitude", "specificity_magnitude", "reverse_magnitude")),
    ("Teacher-forced accuracy (A) beside what is generated (X): they disagree",
     ("efficacy_token_accuracy", "efficacy_generated", "generalization_token_accuracy", "generalization_generated")),
    ("The same, on what should not change and in reverse",
     ("specificity_token_accuracy", "specificity_generated", "reverse_token_accuracy", "reverse_generated")),
    ("Neighbours: how far they move", ("plus_success", "plus_magnitude", "neighbour_kl", "plus_kl")),
    ("RippleEdits: what follows from the edit, and what must not",
     ("logical-generalization", "compositionality-1", "compositionality-2")),
    ("RippleEdits, further",
     ("subject-aliasing", "forgetfulness", "relation-specificity")),
    ("MQuAKE: chains of facts", ("multi-hop", "hops")),
    ("Texts and drift", ("ngram_entropy", "reference_score", "essence", "drift_kl", "drift_nll")),
)  # fmt: skip
"""Title and metrics of each table; narrow enough for a terminal of 100 columns."""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: The mean, or any text.
        interval: Its 95 % interval, without brackets; empty if there is none.
        best: Whether it is the best of its column.
        value: The exact number; None if it is no number.
    """

    text: str
    interval: str = ""
    best: bool = False
    value: float | None = None


class Sheet(NamedTuple):
    """A table.

    Attributes:
        title: What it shows.
        head: Name of each column, with n where all runs have the same.
        rows: Cells of each row; the first is its label.
        legend: Sentences below it.
        ruled: Rows after which a line is drawn.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    legend: tuple[str, ...] = ()
    ruled: tuple[int, ...] = ()


def number(value: float, scale: float = 1.0) -> str:
    """Return a scaled number: one decimal of percent, about three digits of others."""
    shown = value * scale
    if scale == 1.0 and shown and abs(shown) < 0.001:
        return "<0.001" if shown > 0 else ">-0.001"
    if scale == 1.0:
        return f"{shown:,.1f}" if abs(shown) >= 100 else f"{shown:.3g}"
    text = f"{shown:.1f}"
    return "0.0" if text == "-0.0" else text


def span(low: float, high: float, scale: float = 1.0) -> str:
    """Return the ends of an interval; whole percents where it is wide."""
    if scale != 1.0 and (high - low) * scale >= 4:
        ends = [f"{end * scale:.0f}" for end in (low, high)]
    else:
        ends = [number(end, scale) for end in (low, high)]
    ends = ["0" if end == "-0" else end for end in ends]
    return f"{ends[0]} to {ends[1]}" if ends[1].startswith("-") or ends[0].startswith("-") else "-".join(ends)


def metric_cell(found: Interval | None, name: str, top: bool = False) -> Cell:
    """Return the cell of a mean with its interval."""
    if found is None:
        return Cell("-")
    scale = SHOWN[name].scale
    ends = span(found.low, found.high, scale) if found.n > 1 else ""
    return Cell(number(found.mean, scale), ends, top, found.mean)


def html_cell(cell: Cell) -> str:
    """Return a cell as HTML: the best in bold, the exact value in the element."""
    text = escape(cell.text)
    if cell.value is not None:
        text = f'<data value="{cell.value!r}">{text}</data>'
    text = f"<b class=best>{text}</b>" if cell.best else text
    return f"{text} <small>{escape(cell.interval)}</small>" if cell.interval else text


def metric_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """Return the tables of means: groups of metrics that belong together, only those that any row has."""
    present = {name for row in rows for name in row.metrics}
    groups = [(title, list(names)) for title, names in _GROUPS]
    placed = {name for _, names in _GROUPS for name in names} | set(SCORES)
    groups.append(("Others", [name for name in SHOWN if name not in placed]))
    if "score" not in present:  # no rival answers, as in zsRE
        groups.insert(0, ("Score", ["accuracy_score"]))
    sheets = [_sheet(rows, title, [name for name in names if name in present]) for title, names in groups]
    return [sheet for sheet in sheets if len(sheet.head) > 1]


def _sheet(rows: Sequence[Row], title: str, names: Sequence[str]) -> Sheet:
    counts = {name: sorted({row.metrics[name].n for row in rows if name in row.metrics}) for name in names}
    tops = {name: best(rows, name) for name in names}
    body = [
        (Cell(row.label), *(metric_cell(row.metrics.get(name), name, row.label in tops[name]) for name in names))
        for row in rows
    ]
    head = [f"{SHOWN[name].label}, n={_count(counts[name])}" for name in names]
    legend = [meaning(name) for name in names]
    ruled = [i for i, row in enumerate(rows[:-1]) if row.baseline and not rows[i + 1].baseline]
    return Sheet(title, ("Run", *head), tuple(body), tuple(legend), tuple(ruled))


def _count(counts: Sequence[int]) -> str:
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,}-{counts[-1]:,}"


_WAYS = {
    "up": "higher is better",
    "down": "lower is better",
    "near": "the nearer to the unedited model the better",
}


def meaning(name: str) -> str:
    """Return what a metric means and which way is better, in a line."""
    told = SHOWN[name]
    return f"{told.label}: {told.meaning}; {_WAYS[told.better]}."


def status_sheet(rows: Sequence[Row]) -> Sheet:
    """Return cases, failures and breaks of each run."""
    body = [
        (
            Cell(row.label),
            Cell(row.method),
            Cell(f"{row.schedule}, after {row.after:,}" if row.after else row.schedule),
            Cell(f"{row.n:,}", value=row.n),
            Cell(f"{row.failed:,}", value=row.failed),
            Cell(f"{row.broken:,}" + (" (collapsed)" if row.collapsed else ""), value=row.broken),
        )
        for row in rows
    ]
    head = ("Run", "Method", "Schedule", "Cases", "Failed", "Broken")
    return Sheet("Cases", head, tuple(body), (FAILURES,))


def cost_sheet(rows: Sequence[Row]) -> Sheet | None:
    """Return how long edits took; apart from all else, as it is another each time."""
    body = [(Cell(row.label), Cell(f"{row.seconds:.3g}", value=row.seconds)) for row in rows if row.seconds is not None]
    return Sheet("Cost", ("Run", "Seconds an edit"), tuple(body)) if body else None


def deviation_sheet(rows: Sequence[Row]) -> Sheet | None:
    """Return means with population deviations, as ROME's program prints them; None if there are none."""
    theirs = [row for row in rows if row.printed]
    names = [name for name in SHOWN if any(name in row.printed for row in theirs)]
    if not names:
        return None
    body = [(Cell(row.label), *(_printed(row.printed.get(name)) for name in names)) for row in theirs]
    title = "As ROME's program prints it: mean (population deviation over cases)"
    return Sheet(title, ("Run", *(SHOWN[name].label for name in names)), tuple(body))


def _printed(found: tuple[float, float] | None) -> Cell:
    if found is None:
        return Cell("-")
    mean, spread = found
    return Cell(f"{mean:.2f}" + (f" ({spread:.2f})" if spread == spread else ""), value=mean)


def comparison_sheet(comparisons: Sequence[Comparison], against: str) -> Sheet | None:
    """Return the paired tests against one run; None if there are none."""
    found = [one for one in comparisons if one.second == against]
    if not found:
        return None
    body, ruled, last = list[tuple[Cell, ...]](), list[int](), ""
    for one in found:
        if body and one.first != last:
            ruled.append(len(body) - 1)
        body.append((Cell(one.first if one.first != last else ""), *_tested(one)))
        last = one.first
    tests = f"{len(found):,} tests"
    legend = (
        "Difference of means over the cases that both have, with its 95 % bootstrap interval; p of a sign-flip "
        f"permutation test, and after Holm's correction over these {tests}. * below 0.05, ** 0.01, *** 0.001.",
        "Higher is better, but where it says down.",
    )
    head = ("Run", "Metric", "Difference", "p", "p, Holm", "n")
    return Sheet(f"Against {against}, pair by pair", head, tuple(body), legend, tuple(ruled))


def _tested(one: Comparison) -> tuple[Cell, ...]:
    told, found = SHOWN[one.metric], one.found
    difference = number(found.difference, told.scale)
    sign = "+" if found.difference > 0 and difference.strip("0.") else ""
    stars = "".join("*" for bound in (0.05, 0.01, 0.001) if one.adjusted < bound)
    ends = span(found.low, found.high, told.scale) if found.n > 1 else ""
    return (
        Cell(told.label if told.better == "up" else f"{told.label}, {told.better}"),
        Cell(sign + difference, ends, value=found.difference),
        Cell(p_value(found.p), value=found.p),
        Cell(p_value(one.adjusted) + (f" {stars}" if stars else ""), value=one.adjusted),
        Cell(f"{found.n:,}", value=found.n),
    )


def p_value(p: float) -> str:
    """Return a p-value with as many digits as count."""
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"


def all_sheets(report: BenchReport) -> list[Sheet]:
    """Return every table of a report but that of cost: the same numbers for the same records."""
    tests = [comparison_sheet(report.comparisons, name) for name in dict.fromkeys(c.second for c in report.comparisons)]
    found = [*metric_sheets(report.rows), status_sheet(report.rows), deviation_sheet(report.rows), *tests]
    return [sheet for sheet in found if sheet is not None]
