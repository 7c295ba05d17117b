"""Numbers and texts as HTML: rounded to read, exact in the page's source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from obverse.core import KINDS, Fact, Interval, Kind
from obverse.verifying import Report

KIND_NAMES: dict[Kind, str] = {
    "efficacy": "The prompt itself",
    "generalization": "In other words",
    "specificity": "Related facts",
    "reverse": "In reverse",
}
"""What each kind of probe is called on the page."""


UNIT = "\N{NO-BREAK SPACE}%"

Found = Mapping[tuple[Kind, str, bool], Interval]
"""Kind, protocol and whether after the edit → mean with interval; all means of a page come from one such table."""


def all_intervals(report: Report) -> Found:
    """Compute every interval of a report once; resampling takes long."""
    return {(kind, *key): value for kind in KINDS for key, value in report.intervals(kind).items()}


def percent(share: float) -> str:
    """Return a share as a percentage of about two digits; nearly none is not 0 %, and nearly all not 100 %."""
    size, sign = abs(round(share, 9)), "-" if share < 0 else ""  # an interval may end at 1e-17
    if 0 < size < 0.0001:
        return f"{'> -' if share < 0 else '< '}0.01{UNIT}"
    if 0.999 < size < 1:
        return f"{'< -' if share < 0 else '> '}99.9{UNIT}"
    digits = 0 if size in (0, 1) or 0.0995 <= size < 0.99 else 1 if size >= 0.00995 else 2
    return f"{sign}{size * 100:.{digits}f}{UNIT}"


def points(difference: float) -> str:
    """Return a difference of two shares in percentage points."""
    return f"{'+' if difference > 0 else ''}{percent(difference).replace('%', 'points')}"


def plain(value: float) -> str:
    """Return a number with about three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def data(value: float, style: Callable[[float], str] = percent) -> str:
    """Return a number rounded to read, with its exact value in the element."""
    return f'<data value="{value!r}">{style(value)}</data>'


def interval(found: Interval, style: Callable[[float], str] = percent) -> str:
    """Return a mean, with its 95 % interval where n is above 1."""
    if found.n == 1:
        return data(found.mean, style)
    low, high = style(found.low), style(found.high)
    _, space, unit = high.rpartition("\N{NO-BREAK SPACE}")
    if space and low.endswith(space + unit):  # the unit once
        low = low.removesuffix(space + unit)
    return f"{data(found.mean, style)} <small>[{low} to {high}]</small>"


def quote(text: str) -> str:
    """Return escaped text in quotation marks."""
    return f"“{escape(text.strip())}”"


def line(text: str) -> str:
    """Return escaped text of a model, its line breaks shown as signs."""
    return escape(text).replace("\n", "<span class=break>⏎</span> ")


def of(count: int, total: int) -> str:
    """Return "3 of 4"."""
    return f"{count:,} of {total:,}"


def fact_line(fact: Fact) -> str:
    """Return a fact as one escaped line: the prompt, the old answer and the new one."""
    old = f"<del>{escape(fact.target_true)}</del> → " if fact.target_true else "→ "
    return f"{escape(fact.text)} … {old}<ins>{escape(fact.target)}</ins>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], css: str = "") -> str:
    """Return a table that folds into blocks on a narrow screen; cells and heads are HTML already."""
    top = "".join(f"<th scope=col>{cell}</th>" for cell in head)
    labels = [escape(cell, quote=True) for cell in head]
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in zip(labels, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<table class="{css}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
