"""The figure of facts written one upon the other: what holds as they become more, and what is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import drawing
from obverse.report._plot_style import BASE, COLOURS, colour_and_mark, percents, settle
from obverse.report.bench_rows import SHOWN, Curve, Row, age_name, colour_places, curve_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3
"""Panels in a row."""
_RUIN = "#b00020"


def curves(found: Sequence[Curve], rows: Sequence[Row]) -> Figure | None:
    """Draw each metric over the facts written, and at the end how much is kept by age; None if there is no sequence.

    Args:
        found: The runs with sequences.
        rows: All runs, which give the colours; the unedited model's values are drawn as dashed lines.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    names = curve_metrics(found)
    if not names:
        return None
    places = colour_places(rows)
    with drawing():
        from matplotlib.figure import Figure

        lines = -(-(len(names) + 1) // ACROSS)
        figure = Figure(figsize=(7.6, 2.3 * lines + 0.4), layout="constrained")
        panels = list(figure.subplots(lines, ACROSS, squeeze=False).ravel())
        for axes in panels[len(names) + 1 :]:
            axes.set_visible(False)
        for axes, name in zip(panels, names, strict=False):
            _metric(axes, name, found, rows, places)
        _kept(panels[len(names)], found, places)
        for axes in panels:
            axes.spines[["top", "right"]].set_visible(False)
        ruined = "; red crosses: collapsed" if any(curve.collapsed_after for curve in found) else ""
        title = f"Facts written one upon the other (dashed: the unedited model{ruined})"
        figure.suptitle(title, fontsize=8, x=0.01, ha="left")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
        settle(figure)
    return figure


def _metric(axes: Axes, name: str, found: Sequence[Curve], rows: Sequence[Row], places: Mapping[str, int]) -> None:
    for curve in found:
        points = {point.after: point.metrics[name] for point in curve.points if name in point.metrics}
        _line(axes, points, curve.label, places[curve.label])
        ruins = [point.after for point in curve.points if point.collapsed and name in point.metrics]
        axes.plot(ruins, [points[after].mean for after in ruins], "x", color=_RUIN, markersize=6, zorder=4, label="_")
    for row in rows:
        if row.baseline and name in row.metrics:
            axes.axhline(row.metrics[name].mean, color=BASE, linewidth=0.8, linestyle="--", zorder=1)
    axes.set_xscale("log")
    _log_axis(axes, [point.after for curve in found for point in curve.points])
    axes.set_title(SHOWN[name].label, loc="left")
    if SHOWN[name].scale == 100:
        axes.set_ylim(-0.03, 1.03)
        percents(axes, "y")


def _kept(axes: Axes, found: Sequence[Curve], places: Mapping[str, int]) -> None:
    ages = sorted({age for curve in found for age in curve.forgetting})
    for curve in found:
        kept = {ages.index(age): value for age, value in curve.forgetting.items()}
        _line(axes, kept, curve.label, places[curve.label])
    axes.set_xticks(range(len(ages)), [age_name(age) for age in ages], fontsize=7)
    axes.set_xlabel("facts written since")
    axes.set_title(f"Kept at the end: {SHOWN[found[0].metric].label} by age", loc="left")
    axes.set_ylim(-0.03, 1.03)
    percents(axes, "y")


def _line(axes: Axes, points: Mapping[int, Interval], label: str, place: int) -> None:
    colour, marker = colour_and_mark(place)
    style = ("-", "--", ":")[place // len(COLOURS) % 3]
    values = [*points.values()]
    means = [value.mean for value in values]
    axes.plot([*points], means, style, color=colour, marker=marker, markersize=3, label=label, linewidth=1.2)
    wide = {at: value for at, value in points.items() if value.n > 1}
    ends = [value.low for value in wide.values()], [value.high for value in wide.values()]
    axes.fill_between([*wide], *ends, color=colour, alpha=0.12, linewidth=0)


def _log_axis(axes: Axes, places: Sequence[int]) -> None:
    shown = sorted(set(places))
    step = -(-len(shown) // 6)
    kept = sorted({*shown[::-1][::step]})
    axes.set_xticks(kept, [f"{place:,}" for place in kept])
    axes.minorticks_off()
    axes.set_xlabel("facts written")
