"""Success against specificity as HTML: dots and lines that stretch, text that does not, numbers on hover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from obverse.core import Interval
from obverse.report._labels import Box, arrange
from obverse.report.bench_figures import ISO, axes_of, iso_score
from obverse.report.bench_rows import SHOWN, Row, colour_places

COLOURS = 7
"""Classes ``c0`` to ``c6``; further runs begin again with other marks."""
WIDTH, HEIGHT, LETTER = 470, 330, 7
"""Size of a chart on a wide screen, and width of a letter, in pixels: where names are placed."""
LOW, HIGH = -0.04, 1.06


def scatter_html(rows: Sequence[Row]) -> str:
    """Return success against specificity with 95 % intervals and lines of equal S; nothing if rows lack them."""
    ups, across = axes_of(rows)
    if not ups:
        return ""
    css = run_classes(rows)
    panels = "".join(
        f"<section class=side><h3>{_title(up, across)}</h3>{_panel(rows, up, across, css)}</section>" for up in ups
    )
    names = "".join(
        f'<span class="{css[row.label]}"><i class=tag>{place + 1}</i> {escape(row.label)}</span>'
        for place, row in enumerate(rows)
    )
    return f'<div class="cards wide">{panels}</div><p class="legend key numbersonly">{names}</p>'


def _title(up: str, across: str) -> str:
    return f"{SHOWN[up].label} (upwards) against {SHOWN[across].label} (to the right), percent"


def _at(value: float) -> float:
    return (min(max(value, 0.0), 1.0) - LOW) / (HIGH - LOW)


def _panel(rows: Sequence[Row], up: str, across: str, css: Mapping[str, str]) -> str:
    shown = [(place, row) for place, row in enumerate(rows) if up in row.metrics and across in row.metrics]
    lines = list[str]()
    iso_names = list[str]()
    for score in ISO:
        points = [(x / 100, y) for x in range(1, 101) if (y := iso_score(score, x / 100)) is not None]
        lines.append(f'<polyline class=iso points="{" ".join(_xy(x, y) for x, y in points)}" />')
        x, y = points[-1]
        iso_names.append(f"<span class=isoname style=left:{_at(x):.1%};top:{1 - _at(y):.1%}>S {score:.0%}</span>")
    for _, row in shown:
        x, y = row.metrics[across], row.metrics[up]
        lines.append(
            f'<g class="{css[row.label]}"><polyline points="{_xy(x.low, y.mean)} {_xy(x.high, y.mean)}" />'
            f'<polyline points="{_xy(x.mean, y.low)} {_xy(x.mean, y.high)}" /></g>'
        )
    marks = [(row.metrics[across].mean, row.metrics[up].mean) for _, row in shown]
    boxes = arrange(
        [(_at(x) * WIDTH, _at(y) * HEIGHT) for x, y in marks],
        [(LETTER * len(row.label), 16) for _, row in shown],
        Box(0, 0, WIDTH, HEIGHT),
    )
    dots = "".join(
        _dot(place, css[row.label], row, (row.metrics[across], row.metrics[up]), box)
        for (place, row), box in zip(shown, boxes, strict=True)
    )
    ticks = (0, 0.25, 0.5, 0.75, 1)
    ys = "".join(f"<span style=top:{1 - _at(value):.2%}>{value * 100:.0f}</span>" for value in ticks)
    xs = "".join(f"<span style=left:{_at(value):.2%}>{value * 100:.0f}</span>" for value in ticks)
    name = f"{SHOWN[up].label} against {SHOWN[across].label}"
    return (
        f"<div class='lines scatter'><div class=ys>{ys}</div><div class=field>"
        f"{picture(name, lines)}{''.join(iso_names)}{dots}</div><div class=xs>{xs}</div></div>"
    )


def picture(name: str, drawn: Sequence[str]) -> str:
    """Return a drawing in thousandths of its width and height, which it stretches to."""
    inside = "".join(drawn)
    return f'<svg viewBox="0 0 1000 1000" preserveAspectRatio=none role=img aria-label="{escape(name)}">{inside}</svg>'


def _xy(x: float, y: float) -> str:
    return f"{_at(x) * 1000:.0f},{(1 - _at(y)) * 1000:.0f}"


def _dot(place: int, css: str, row: Row, at: tuple[Interval, Interval], box: Box) -> str:
    x, y = at
    tip = f"{row.label}\nright: {_told(x)}\nup: {_told(y)}"
    left, top = _at(x.mean), 1 - _at(y.mean)
    label = (
        f"<span class=name style=left:{box.left / WIDTH:.1%};top:{1 - box.top / HEIGHT:.1%}>{escape(row.label)}</span>"
    )
    return f'<i class="tag {css}" style=left:{left:.1%};top:{top:.1%} title="{escape(tip)}">{place + 1}</i>{label}'


def _told(value: Interval) -> str:
    return f"{value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n:,}"


def run_classes(rows: Sequence[Row]) -> dict[str, str]:
    """Return label → class that gives a run its colour, the same in all charts."""
    places = colour_places(rows)
    return {row.label: "base" if row.baseline else f"c{places[row.label] % COLOURS}" for row in rows}
