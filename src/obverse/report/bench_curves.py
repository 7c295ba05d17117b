"""Curves of sequences of edits as HTML, each point with its numbers on hover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log
from typing import NamedTuple

from obverse.core import Interval
from obverse.report._format import table
from obverse.report._maps import LETTER
from obverse.report.bench_charts import picture, run_classes
from obverse.report.bench_rows import SHOWN, Curve, Row, age_name, curve_metrics
from obverse.report.bench_sheets import html_cell, metric_cell

_TICKS = 6


class Panel(NamedTuple):
    """A chart.

    Attributes:
        title: What it shows, plain text.
        axis: What lies across, plain text.
        scale: What values are multiplied by to be read; 100 for percent.
        series: Run → place → mean.
        base: A value to compare with, drawn as a dashed line.
        ruins: Run → place from which on it has collapsed.
        names: Of the places, if they stand evenly; else they are numbers of facts, and stand by their logarithm.
    """

    title: str
    axis: str
    scale: float
    series: Mapping[str, Mapping[int, Interval]]
    base: float | None = None
    ruins: Mapping[str, int | None] = {}
    names: Mapping[int, str] = {}


def curves_html(found: Sequence[Curve], rows: Sequence[Row]) -> str:
    """Return each metric over the facts written, and what is kept by age; nothing if there is no sequence.

    Args:
        found: The runs with sequences.
        rows: All runs; the unedited model's values are drawn as dashed lines.
    """
    names = curve_metrics(found)
    if not names:
        return ""
    ruins = {curve.label: curve.collapsed_after for curve in found}
    panels = [
        Panel(
            f"{SHOWN[name].label}, {_unit(name)}",
            "facts written",
            SHOWN[name].scale,
            {c.label: {p.after: p.metrics[name] for p in c.points if name in p.metrics} for c in found},
            next((row.metrics[name].mean for row in rows if row.baseline and name in row.metrics), None),
            ruins,
        )
        for name in names
    ]
    ages = sorted({age for curve in found for age in curve.forgetting})
    kept = {c.label: {ages.index(age): value for age, value in c.forgetting.items()} for c in found}
    names_of = {place: age_name(age) for place, age in enumerate(ages)}
    title = f"Kept at the end: {SHOWN[found[0].metric].label} by age, {_unit(found[0].metric)}"
    panels.append(Panel(title, "facts written since", 100.0, kept, names=names_of))
    css = run_classes(rows)
    key = "".join(
        f'<span class="{css[curve.label]}"><i class=swatch></i> {escape(curve.label)}</span>' for curve in found
    )
    ended = [f"{escape(label)} after {after:,} facts" for label, after in ruins.items() if after]
    note = f"<p><b class=bad>✕ Collapsed:</b> {', '.join(ended)}.</p>" if ended else ""
    drawn = "".join(draw(panel, css) for panel in panels)
    return f'{note}<p class="legend key">{key}</p><div class="cards three">{drawn}</div>{_behind(found)}'


def draw(panel: Panel, css: Mapping[str, str]) -> str:
    """Return a chart; ``css`` is the class of each run, which gives its colour."""
    places = sorted({place for points in panel.series.values() for place in points})
    if not places:
        return ""
    ends = [value.high for points in panel.series.values() for value in points.values()]
    top = 1.0 if panel.scale == 100 else max([*ends, panel.base or 0.0, 1e-6]) * 1.05
    across = dict(zip(places, _across(places, even=bool(panel.names)), strict=True))
    lines, dots = list[str](), list[str]()
    if panel.base is not None:
        height = f"{(1 - panel.base / top) * 1000:.0f}"
        lines.append(f'<polyline class=dashed points="0,{height} 1000,{height}" />')
    for label, points in panel.series.items():
        lines.append(_line(css[label], points, across, top))
        ruin = panel.ruins.get(label)
        for place, value in points.items():
            kind = f"point {css[label]}" + (" ruin" if ruin and place >= ruin else "")
            at = f"left:{across[place]:.1%};top:{1 - value.mean / top:.1%}"
            dots.append(f'<i class="{kind}" style={at} title="{escape(_tip(panel, label, place, value))}"></i>')
    shown = places if panel.names else places[::-1][:: -(-len(places) // _TICKS)]
    heights = {part: f"{part * top * panel.scale:.3g}" for part in (0, 0.5, 1)}
    ys = "".join(f"<span style=top:{1 - part:.0%}>{height}</span>" for part, height in heights.items())
    room = max(34, 12 + LETTER * max(map(len, heights.values())))
    xs = "".join(
        f"<span style=left:{across[place]:.1%}>{panel.names.get(place, f'{place:,}')}</span>" for place in shown
    )
    return (
        f"<section class=side><h3>{escape(panel.title)}</h3><div class='lines small' style=--ys:{room}px>"
        f"<div class=ys>{ys}</div><div class=field>{picture(panel.title, lines)}{''.join(dots)}</div>"
        f"<div class=xs>{xs}</div></div>"
        f"<small class=axisname>{escape(panel.axis)}</small></section>"
    )


def _unit(name: str) -> str:
    return "percent" if SHOWN[name].scale == 100 else "nats"


def _across(places: Sequence[int], *, even: bool) -> list[float]:
    """Return where places stand, as shares of the width: evenly, or by the logarithm of their numbers."""
    at = [float(n) if even else log(place) for n, place in enumerate(places)]
    wide = at[-1] - at[0]
    return [0.03 + 0.94 * (one - at[0]) / wide if wide else 0.5 for one in at]


def _line(css: str, points: Mapping[int, Interval], across: Mapping[int, float], top: float) -> str:
    def at(place: int, value: float) -> str:
        return f"{across[place] * 1000:.0f},{(1 - value / top) * 1000:.0f}"

    order = sorted(points)
    wide = [place for place in order if points[place].n > 1]
    band = [at(place, points[place].high) for place in wide] + [at(place, points[place].low) for place in wide[::-1]]
    line = " ".join(at(place, points[place].mean) for place in order)
    return f'<g class={css}><polygon points="{" ".join(band)}" /><polyline points="{line}" /></g>'


def _tip(panel: Panel, label: str, place: int, value: Interval) -> str:
    mean, low, high = (f"{end * panel.scale:.4g}" for end in (value.mean, value.low, value.high))
    return f"{label}, {panel.names.get(place, f'{place:,}')} {panel.axis}\n{mean} ({low} to {high}), n = {value.n:,}"


def _behind(found: Sequence[Curve]) -> str:
    """Return the numbers of the curves as a foldable table."""
    names = curve_metrics(found)
    rows = [
        (
            escape(curve.label),
            f"{point.after:,}",
            f"{point.n:,}",
            *(html_cell(metric_cell(point.metrics.get(name), name)) for name in names),
        )
        for curve in found
        for point in curve.points
    ]
    head = ("Run", "After", "n", *(SHOWN[name].label for name in names))
    inside = table(head, rows, "numbers sheet")
    return f"<details><summary>The numbers of the curves</summary><div class=scroll>{inside}</div></details>"
