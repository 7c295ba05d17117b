"""The figure of a benchmark's sweep: scores over the setting that was swept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import drawing
from obverse.report._plot_style import COLOURS, percents, settle
from obverse.report.bench_rows import CURVES, CURVES_WITHOUT_RIVALS, SHOWN, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SWEPT = (("#222222", 2.0), ("#7261ab", 1.0), ("#3a8fb7", 1.0), ("#d0722b", 1.0))
"""Colour and width of S and its parts."""


def sweep(rows: Sequence[Row]) -> Figure | None:
    """Draw scores over the swept setting, a panel a method; of a grid, S alone with a line for each other setting.

    None if nothing was swept.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    methods: dict[str, list[Row]] = {}
    for row in rows:
        if row.point:
            methods.setdefault(row.method, []).append(row)
    if not methods:
        return None
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(max(4.6, 3.6 * len(methods)), 3.2), layout="constrained")
        panels = figure.subplots(1, len(methods), squeeze=False, sharey=True)[0]
        for axes, (method, own) in zip(panels, methods.items(), strict=True):
            _sweep_panel(axes, method, own)
        settle(figure)
    return figure


def _sweep_panel(axes: Axes, method: str, rows: Sequence[Row]) -> None:
    key, *others = rows[0].point
    names = swept_metrics(rows)
    values = list(dict.fromkeys(row.point[key] for row in rows))
    places = places_of(values)
    if others:
        for number, rest in enumerate(dict.fromkeys(rest_of(row, key) for row in rows)):
            found = {places[row.point[key]]: row.metrics[names[0]]
                     for row in rows if rest_of(row, key) == rest and names[0] in row.metrics}  # fmt: skip
            _swept_line(axes, found, rest, COLOURS[number % len(COLOURS)], 1.2)
    else:
        for name, (colour, width) in zip(names, _SWEPT, strict=True):
            found = {places[row.point[key]]: row.metrics[name] for row in rows if name in row.metrics}
            _swept_line(axes, found, SHOWN[name].label, colour, width)
    names_of = [re.sub(r"[\[\]]", "", value) for value in places]
    axes.set_xticks([*places.values()], names_of, rotation=30 if max(map(len, names_of)) > 6 else 0)
    axes.set_xlabel(key)
    axes.set_ylim(-0.02, 1.02)
    percents(axes, "y")
    n = rows[0].n
    axes.set_title(f"{method} (n = {n:,}){': ' + SHOWN[names[0]].label if others else ''}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.5)
    axes.legend(loc="best", frameon=False, fontsize=7, ncols=2)


def swept_metrics(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return S and its parts, by the names that runs have of them."""
    return CURVES[:4] if any("efficacy_success" in row.metrics for row in rows) else CURVES_WITHOUT_RIVALS[:4]


def places_of(values: Sequence[str]) -> dict[str, float]:
    """Return where swept values stand: evenly, numbers in order."""

    def order(value: str) -> tuple[float, int]:
        found = re.fullmatch(r"\[?\s*(-?[\d.]+(?:e-?\d+)?)\s*\]?", value)
        return (float(found[1]) if found else 0.0, values.index(value))

    return {value: float(place) for place, value in enumerate(sorted(values, key=order))}


def rest_of(row: Row, key: str) -> str:
    """Return the swept settings of a run but for one."""
    return ", ".join(f"{name}={value}" for name, value in row.point.items() if name != key)


def _swept_line(axes: Axes, found: Mapping[float, Interval], name: str, colour: str, width: float) -> None:
    places = sorted(found)
    points = [found[place] for place in places]
    axes.plot(places, [p.mean for p in points], color=colour, linewidth=width, label=name, marker="o", markersize=3)
    axes.fill_between(places, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.1, linewidth=0)
