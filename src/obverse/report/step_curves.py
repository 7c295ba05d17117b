"""Curves over the steps of a run as SVG: bands for intervals, units on both axes, numbers on hover and in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from obverse.core import Interval
from obverse.report._format import interval, plain, table
from obverse.report._maps import LETTER, round_ticks

COLOURS = 7
"""Classes ``c0`` to ``c6`` of the style sheet."""
MOST_POINTS = 300
"""Points of a curve, at most; of more, neighbours are drawn as one."""
MOST_DOTS = 40
"""Curves with more points are drawn without dots."""


class Curve(NamedTuple):
    """A line.

    Attributes:
        label: Its name, plain text.
        points: Step → value there; where n is above 1, the interval is drawn as a band.
    """

    label: str
    points: Mapping[int, Interval]


def point(value: float) -> Interval:
    """Return a number of which there is one."""
    return Interval(value, value, value, 1)


def curve_chart(
    title: str, unit: str, curves: Sequence[Curve], style: Callable[[float], str] = plain, *, numbers: bool = True
) -> str:
    """Return a chart.

    Args:
        title: What it shows, plain text.
        unit: What its upward axis counts, plain text.
        curves: At least one, each with a point.
        style: How values are written.
        numbers: Whether a table of all points is put below, folded.
    """
    thin = [Curve(curve.label, thinned(curve.points)) for curve in curves]
    values = [value for curve in thin for value in curve.points.values()]
    low, high = min(value.low for value in values), max(value.high for value in values)
    if 0 <= low < 0.67 * high:  # from zero, unless that would flatten the curve
        low = 0.0
    spare = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - spare * (low != 0), high + spare
    ups = [up for up in round_ticks(low, high) if low <= up <= high]
    steps = sorted({step for curve in thin for step in curve.points})
    frame = _Frame(steps[0], steps[-1], low, high)
    grid = "".join(f'<line class=grid x1=0 x2=1000 y1="{frame.y(up):.0f}" y2="{frame.y(up):.0f}" />' for up in ups)
    drawn = "".join(_line(f"c{place % COLOURS}", curve, frame) for place, curve in enumerate(thin))
    dots = "".join(_dots(f"c{place % COLOURS}", curve, frame, style) for place, curve in enumerate(thin))
    ys = "".join(f"<span style=top:{frame.y(up) / 1000:.1%}>{style(up)}</span>" for up in ups)
    room = max(34, 12 + LETTER * max((len(style(up)) for up in ups), default=0))
    xs = "".join(f"<span style=left:{frame.x(at) / 1000:.1%}>{at:,.0f}</span>" for at in _steps_shown(frame))
    folded = _table(title, curves, style) if numbers else ""
    return (
        f"<figure class=curve><figcaption><b>{escape(title)}</b> <small>{escape(unit)}</small></figcaption>"
        f"<div class='lines small' style=--ys:{room}px><div class=ys>{ys}</div><div class=field>"
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio=none role=img><title>{escape(title)}</title>'
        f"<desc>{escape(_told(thin, style))}</desc>{grid}{drawn}</svg>{dots}</div><div class=xs>{xs}</div></div>"
        f"<small class=axisname>step</small>{_key(curves)}{folded}</figure>"
    )


def thinned(points: Mapping[int, Interval], most: int = MOST_POINTS) -> dict[int, Interval]:
    """Return as many points at most: of each group of neighbours the mean, and the range of all in it."""
    order = sorted(points)
    if len(order) <= most:
        return {step: points[step] for step in order}
    size = -(-len(order) // most)
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    out: dict[int, Interval] = {}
    for group in groups:
        found = [points[step] for step in group]
        mean = sum(value.mean for value in found) / len(found)
        out[group[-1]] = Interval(mean, min(v.low for v in found), max(v.high for v in found), len(found))
    return out


class _Frame(NamedTuple):
    """What a chart spans; places are thousandths of its width and height."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        wide = self.last - self.first
        return 1000 * (0.02 + 0.96 * (step - self.first) / wide) if wide else 500.0

    def y(self, value: float) -> float:
        return 1000 * (self.high - value) / ((self.high - self.low) or 1.0)


def _steps_shown(frame: _Frame) -> list[float]:
    if frame.first == frame.last:
        return [frame.first]
    return [at for at in round_ticks(frame.first, frame.last) if frame.first <= at <= frame.last and at == int(at)]


def _line(css: str, curve: Curve, frame: _Frame) -> str:
    def at(step: int, value: float) -> str:
        return f"{frame.x(step):.1f},{frame.y(value):.1f}"

    order = sorted(curve.points)
    wide = [step for step in order if curve.points[step].n > 1]
    band = [at(step, curve.points[step].high) for step in wide]
    band += [at(step, curve.points[step].low) for step in reversed(wide)]
    line = " ".join(at(step, curve.points[step].mean) for step in order)
    shade = f'<polygon points="{" ".join(band)}" />' if len(wide) > 1 else ""
    return f'<g class={css}>{shade}<polyline points="{line}" /></g>'


def _dots(css: str, curve: Curve, frame: _Frame, style: Callable[[float], str]) -> str:
    if len(curve.points) > MOST_DOTS:
        return ""
    return "".join(
        f'<i class="point {css}" style=left:{frame.x(step) / 1000:.1%};top:{frame.y(value.mean) / 1000:.1%} '
        f'title="{escape(f"{curve.label}, step {step:,}: {_written(value, style)}")}"></i>'
        for step, value in curve.points.items()
    )


def _written(value: Interval, style: Callable[[float], str]) -> str:
    return style(value.mean) + (f" ({style(value.low)} to {style(value.high)})" if value.n > 1 else "")


def _told(curves: Sequence[Curve], style: Callable[[float], str]) -> str:
    return "; ".join(
        f"{curve.label}: " + ", ".join(f"step {step}: {_written(v, style)}" for step, v in curve.points.items())
        for curve in curves
    )


def _key(curves: Sequence[Curve]) -> str:
    if len(curves) == 1:
        return ""
    marks = "".join(
        f"<span class=c{place % COLOURS}><i class=swatch></i> {escape(curve.label)}</span>"
        for place, curve in enumerate(curves)
    )
    return f'<p class="legend key">{marks}</p>'


def _table(title: str, curves: Sequence[Curve], style: Callable[[float], str]) -> str:
    steps = sorted({step for curve in curves for step in curve.points})
    rows = [
        (f"{step:,}", *(interval(c.points[step], style) if step in c.points else "" for c in curves)) for step in steps
    ]
    inside = table(("Step", *(escape(curve.label) for curve in curves)), rows, "numbers")
    return f"<details class=fine><summary>The numbers of {escape(title)}</summary>{inside}</details>"
