"""Tables and verdicts of a reproduction as texts, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obverse.core import Interval
from obverse.recipes.repro import Verdict

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts.

    Attributes:
        claim: The claim it belongs to.
        title: What it shows.
        headers: Of each column.
        rows: Cells, as many as headers.
        note: What a reader must know.
    """

    claim: str
    title: str
    headers: Row
    rows: tuple[Row, ...]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "claim": self.claim,
            "title": self.title,
            "rows": [dict(zip(self.headers, row, strict=True)) for row in self.rows],
            "note": self.note,
        }


def span(found: Interval, digits: int = 2, *, percent: bool = False) -> str:
    """Return an interval as text, e.g. ``3.05 (1.97 to 4.13)``; a single value where there is no width."""
    factor, ending = (100, " %") if percent else (1, "")
    mean, low, high = (
        f"{value * factor:.{1 if percent else digits}f}" for value in (found.mean, found.low, found.high)
    )
    return f"{mean}{ending}" if low == high == mean else f"{mean}{ending} ({low} to {high})"


def verdict_sheet(verdicts: Sequence[Verdict]) -> Sheet:
    """Return verdicts as a table."""
    rows = [
        (
            one.claim,
            one.statement,
            one.outcome,
            span(one.found),
            f"{'>' if one.above else '<'} {one.bound:g}",
            str(one.found.n),
        )
        for one in verdicts
    ]
    note = (
        "held: the whole 95 % interval is on the statement's side of the bound; did not hold: on the other; open: the "
        "bound lies inside."
    )
    return Sheet("", "Verdicts", ("claim", "statement", "verdict", "found", "asked", "n"), tuple(rows), note)


def markdown(verdicts: Sequence[Verdict], tables: Sequence[Sheet], title: str) -> str:
    """Return verdicts and tables as a Markdown page."""
    parts = [_markdown(sheet) for sheet in (verdict_sheet(verdicts), *tables)]
    return "\n".join([f"# {title}", "", *parts])


def _markdown(sheet: Sheet) -> str:
    lines = [" | ".join(cells) for cells in (sheet.headers, ("---",) * len(sheet.headers), *sheet.rows)]
    return "\n".join([f"## {sheet.title}", "", *(f"| {line} |" for line in lines), "", sheet.note, ""])
