"""Heat maps and lines over layers as SVG that stretches while its text does not; numbers on hover and in tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple
from unicodedata import east_asian_width

from obverse.core import Interval
from obverse.locating.figures import layer_ticks

ROW = 22
"""Height of a row, in pixels."""
CELL = 38
"""Width of a cell where there is room, in pixels, as in the style sheet."""
LETTER = 7
"""Width of a letter of a label, in pixels; wide ones take two."""


class Cell(NamedTuple):
    """A cell of a heat map.

    Attributes:
        share: Share of the scale, -1 to 1; its size is how strong the colour is.
        tip: What to show on hover, plain text; lines are kept. None if empty.
        number: Its number in the table, in percentage points, plain text.
    """

    share: float
    tip: str = ""
    number: str = ""


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


def heat_map(name: str, css: str, rows: Sequence[Row], legend: str, *, axis: str, labels: int = 112) -> str:
    """Return a heat map, rows by layers; the strongest cell is outlined. Its numbers, if cells have any, are folded.

    Args:
        name: What it shows, plain text.
        css: Class that gives the colour: a kind of trace.
        rows: At least one; all of the same length.
        legend: HTML below the map, from `scale`.
        axis: What a layer stands for, plain text.
        labels: Width of the labels of rows, in pixels; longer ones are cut, and whole on hover.
    """
    n_layers = len(rows[0].cells)
    found = [cell for row in rows for cell in row.cells if cell]
    strongest = max(found, key=lambda cell: abs(cell.share), default=Cell(0))
    largest = abs(strongest.share)
    cells, outlines, names, slot = list[str](), list[str](), list[str](), 0
    for row in rows:
        if row.group:
            names.append(f"<text class=group x={-labels} y={ROW * slot + 16}>{escape(row.group)}</text>")
            slot += 1
        cells.append(_row(row, slot, largest))
        names.append(_label(row, slot, labels))
        outlines += [
            f"M{layer} {slot}h1v1h-1z"
            for layer, cell in enumerate(row.cells)
            if cell and 0 < largest == abs(cell.share)
        ]
        slot += 1
    height = ROW * slot
    ticks = "".join(
        f'<text class=layer x="{(layer + 0.5) / n_layers:.2%}" y={height + 15}>{layer}</text>'
        for layer in layer_ticks(n_layers)
    )
    fits = LETTER * len(axis) < labels + CELL * n_layers
    place = "x=100% text-anchor=end" if fits else f"x={-labels}"
    label = f"{name}: heat map, {len(rows)} rows by {n_layers} layers"
    if strongest.share and strongest.tip:
        label += f"; strongest: {strongest.tip}"
    return (
        f'<figure class="map {css}" style="--n:{n_layers};--label:{labels}px">'
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(name)}">'
        f'<svg class=heat height={height + 38} role=img aria-label="{escape(label)}">'
        f'<svg class=cells width=100% height={height} viewBox="0 0 {n_layers} {slot}" preserveAspectRatio=none>'
        f'{"".join(cells)}<path class=outline d="{"".join(outlines)}" /></svg>{"".join(names)}{ticks}'
        f"<text class=axis {place} y={height + 33}>{escape(axis)}</text></svg></div>"
        f"<figcaption class=legend>{legend}</figcaption>{_numbers(name, rows)}</figure>"
    )


def scale(low: str, high: str, name: str, *, two_sided: bool = False) -> str:
    """Return a ramp of colours between two numbers, HTML each, and what it shows, plain text."""
    css = "ramp two" if two_sided else "ramp"
    return f'{low} <span class="{css}"></span> {high} <span>{escape(name)}</span>'


def _row(row: Row, slot: int, largest: float) -> str:
    track = f'<path class=track d="M0 0h{len(row.cells)}v1H0z" />'
    cells = "".join(_cell(cell, layer, largest) for layer, cell in enumerate(row.cells))
    return f'<g transform="translate(0 {slot})">{track}{cells}</g>'


def _cell(cell: Cell | None, layer: int, largest: float) -> str:
    if cell is None:
        return f'<path class=gap d="M{layer} 0h1v1h-1zl1 1" />'
    classes = " ".join(name for name, on in (("less", cell.share < 0), ("top", 0 < largest == abs(cell.share))) if on)
    css = f' class="{classes}"' if classes else ""
    size = f"{min(abs(cell.share), 1.0):.2f}"
    size = {"0.00": "0", "1.00": "1"}.get(size, size.lstrip("0"))
    title = f"<title>{escape(cell.tip)}</title>" if cell.tip else ""
    return f"<rect x={layer}{css} fill-opacity={size}>{title}</rect>"


def _label(row: Row, slot: int, width: int) -> str:
    """Return the name of a row, cut to a width in pixels."""
    room, shown = (width - 8) // LETTER, ""
    for letter in row.label:
        room -= 2 if east_asian_width(letter) in "WF" else 1
        if room < 0:
            shown = shown[:-1] + "…"
            break
        shown += letter
    css = "name subject" if row.marked else "name"
    title = f"<title>{escape(row.label)}</title>" if shown != row.label else ""
    return f'<text class="{css}" x=-8 y={ROW * slot + 15}>{title}{escape(shown)}</text>'


def _numbers(name: str, rows: Sequence[Row]) -> str:
    """Return the numbers as a folded table, layers by rows; nothing if cells have none."""
    if not any(cell.number for row in rows for cell in row.cells if cell):
        return ""
    head = "".join(f"<th scope=col>{escape(row.label)}</th>" for row in rows)
    body = "".join(
        f"<tr><th scope=row>{layer}</th>"
        + "".join(f"<td>{escape(cell.number) if cell else ''}</td>" for cell in column)
        + "</tr>"
        for layer, column in enumerate(zip(*(row.cells for row in rows), strict=True))
    )
    return (
        "<details class=fine><summary>The numbers, in percentage points</summary>"
        f'<div class=scroll tabindex=0 role=region aria-label="The numbers of {escape(name)}">'
        f'<table class="numbers told"><thead><tr><th scope=col>Layer</th>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


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
