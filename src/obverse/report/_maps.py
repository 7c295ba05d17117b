"""Heat maps and lines over layers as HTML: numbers on hover by CSS alone, labels that stay when a map scrolls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from obverse.core import Interval
from obverse.locating.figures import layer_ticks

WIDE_LAYERS = 58
"""Maps with more layers scroll on any screen; their numbers are shown in a corner of the window."""


class Cell(NamedTuple):
    """A cell of a heat map.

    Attributes:
        share: Share of the scale, -1 to 1; its size is how strong the colour is.
        tip: What to show on hover, plain text; lines are kept.
    """

    share: float
    tip: str


class Row(NamedTuple):
    """A row of a heat map.

    Attributes:
        label: Its name, plain text.
        cells: A cell a layer; None is drawn as a gap.
        marked: Whether the name stands out.
        group: Heading above the row; none if empty.
    """

    label: str
    cells: Sequence[Cell | None]
    marked: bool = False
    group: str = ""


class Series(NamedTuple):
    """A line with its band.

    Attributes:
        label: Its name, plain text.
        css: Class that gives its colour.
        values: One a layer; None is left out.
    """

    label: str
    css: str
    values: Sequence[Interval | None]


def heat_map(name: str, css: str, rows: Sequence[Row], legend: str, *, labels: int = 112) -> str:
    """Return a heat map, rows by layers; the strongest cell is outlined.

    Args:
        name: What it shows, plain text.
        css: Class that gives the colour: a kind of trace.
        rows: At least one; all of the same length.
        legend: HTML below the map, from `scale`.
        labels: Width of the column of labels, in pixels.
    """
    n_layers = len(rows[0].cells)
    ticks = set(layer_ticks(n_layers))
    strongest = max((abs(cell.share) for row in rows for cell in row.cells if cell), default=0)
    head = "".join(f"<th>{layer if layer in ticks else ''}</th>" for layer in range(n_layers))
    body = "".join(_row(row, strongest) for row in rows)
    wide = " wide" if n_layers > WIDE_LAYERS else ""
    return (
        f'<figure class="map {css}{wide}" style="--n:{n_layers};--label:{labels}px">'
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(name)}"><table class="heat numbers">'
        f"<thead><tr><th>layer</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"<figcaption class=legend>{legend}</figcaption></figure>"
    )


def scale(low: str, high: str, name: str, *, two_sided: bool = False) -> str:
    """Return a ramp of colours between two numbers, HTML each, and what it shows, plain text."""
    css = "ramp two" if two_sided else "ramp"
    return f'{low} <span class="{css}"></span> {high} <span>{escape(name)}</span>'


def _row(row: Row, strongest: float) -> str:
    half = len(row.cells) / 2
    cells = "".join(
        _cell(cell, layer >= half, 0 < strongest == abs(cell.share)) if cell else "<td class=gap></td>"
        for layer, cell in enumerate(row.cells)
    )
    heading = f'<tr><th class=group colspan="{len(row.cells) + 1}"><span>{escape(row.group)}</span></th></tr>'
    marked = " class=subject" if row.marked else ""
    label = escape(row.label)
    return (heading if row.group else "") + f'<tr><th scope=row{marked} title="{label}">{label}</th>{cells}</tr>'


def _cell(cell: Cell, right: bool, top: bool) -> str:
    classes = " ".join(name for name, on in (("r", right), ("less", cell.share < 0), ("top", top)) if on)
    css = f' class="{classes}"' if classes else ""
    size = f"{min(abs(cell.share), 1.0):.2f}".lstrip("0")
    colour = f" style=--v:{size}" if size not in ("", ".00") else ""
    return f'<td{css}{colour} tabindex=-1 data-t="{escape(cell.tip)}"></td>'


def lines(name: str, series: Sequence[Series], low: float, high: float) -> str:
    """Return lines over layers with bands between the ends of their intervals.

    Args:
        name: What they show, plain text.
        series: At least one.
        low: Lower end of the vertical axis, a share; shown in percentage points.
        high: Upper end.
    """
    n_layers = max(len(one.values) for one in series)
    marks = list(round_ticks(low, high))
    low, high = min(low, marks[0]), max(high, marks[-1])
    span = (high - low) or 1.0

    def at(layer: int, value: float) -> str:
        return f"{(layer + 0.5) / n_layers * 1000:.1f},{(high - value) / span * 1000:.1f}"

    drawn = list[str]()
    for one in series:
        found = [(layer, value) for layer, value in enumerate(one.values) if value]
        band = [at(layer, value.high) for layer, value in found]
        band += [at(layer, value.low) for layer, value in reversed(found)]
        line = [at(layer, value.mean) for layer, value in found]
        drawn.append(
            f'<g class="{one.css}"><title>{escape(one.label)}</title><polygon points="{" ".join(band)}" />'
            f'<polyline points="{" ".join(line)}" /></g>'
        )
    heights = [(mark, (high - mark) / span) for mark in marks]
    grid = "".join(f'<line class=grid x1=0 x2=1000 y1="{y * 1000:.1f}" y2="{y * 1000:.1f}" />' for _, y in heights)
    ys = "".join(f"<span style=top:{y:.2%}>{mark * 100:g}</span>" for mark, y in heights)
    xs = "".join(f"<span style=left:{(layer + 0.5) / n_layers:.2%}>{layer}</span>" for layer in layer_ticks(n_layers))
    return (
        f'<div class=lines><div class=ys>{ys}</div><svg viewBox="0 0 1000 1000" preserveAspectRatio=none role=img '
        f'aria-label="{escape(name)}">{grid}{"".join(drawn)}</svg><div class=xs>{xs}</div></div>'
    )


def key(series: Sequence[Series]) -> str:
    """Return which colour stands for what."""
    marks = "".join(f'<span class="{one.css}"><i class=swatch></i> {escape(one.label)}</span>' for one in series)
    return f'<p class="legend key">{marks}</p>'


def round_ticks(low: float, high: float) -> Iterator[float]:
    """Give about five round numbers that span two."""
    rough = max(high - low, 1e-6) / 4
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    for i in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1):
        yield round(i * step, 12)
