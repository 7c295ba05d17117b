"""Figures of a benchmark as files, and that of success against specificity (extra ``plot``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import drawing, write_figure
from obverse.report._labels import place_labels
from obverse.report._plot_style import BASE, colour_and_mark, percents, settle
from obverse.report.bench_curve_figure import curves
from obverse.report.bench_rows import SHOWN, BenchReport, Row, colour_places
from obverse.report.bench_sweep import sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ISO = (0.2, 0.4, 0.6, 0.8, 0.9)
"""Scores S whose lines are drawn."""
MOST_LABELS = 20
"""Runs that are named beside their points; of more there is a legend."""


def write_bench_figures(
    report: BenchReport, folder: Path, formats: Sequence[str] = ("png", "pdf", "svg")
) -> list[Path]:
    """Write every figure that a report has the numbers for, and return where.

    Raises:
        ObverseError: If matplotlib is not installed, or a file cannot be written.
    """
    made = {
        "scatter": scatter(report.rows),
        "curves": curves(report.curves, report.rows),
        "sweep": sweep(report.rows),
    }
    return [
        write_figure(figure, folder / f"{name}.{ending}")
        for name, figure in made.items()
        if figure is not None
        for ending in formats
    ]


def axes_of(rows: Sequence[Row]) -> tuple[tuple[str, ...], str]:
    """Return the metrics of success, and that of specificity, that stand against each other; none if rows lack them."""
    for protocol in ("success", "token_accuracy"):
        ups = tuple(
            name for kind in ("efficacy", "generalization")
            if any((name := f"{kind}_{protocol}") in row.metrics for row in rows)
        )  # fmt: skip
        across = f"specificity_{protocol}"
        if ups and any(across in row.metrics for row in rows):
            return ups, across
    return (), ""


def iso_score(score: float, across: float) -> float | None:
    """Return where the line of a score S lies above a specificity, efficacy and paraphrases being equal; None if off.

    Source:
        S = 3 / (1/ES + 1/PS + 1/NS), solved for ES = PS.
    """
    rest = 3 / score - 1 / across if across > 0 else 0.0
    up = 2 / rest if rest > 0 else 2.0
    return up if up <= 1 else None


def scatter(rows: Sequence[Row]) -> Figure | None:
    """Draw success against specificity with 95 % intervals and lines of equal S; None if nothing has both.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    ups, across = axes_of(rows)
    if not ups:
        return None
    with drawing():
        from matplotlib.figure import Figure

        places = colour_places(rows)
        crowded = len(rows) > MOST_LABELS
        height = 3.6 + (0.16 * -(-len(rows) // 4) if crowded else 0)
        figure = Figure(figsize=(3.9 * len(ups), height), layout="constrained")
        panels = figure.subplots(1, len(ups), squeeze=False)[0]
        for axes, up in zip(panels, ups, strict=True):
            _iso_lines(axes)
            for row in rows:
                if up in row.metrics and across in row.metrics:
                    _mark(axes, row, row.metrics[across], row.metrics[up], places.get(row.label))
            axes.set_xlim(-0.04, 1.04)
            axes.set_ylim(-0.04, 1.06)
            percents(axes, "x", "y")
            axes.set_xlabel(f"{SHOWN[across].label}: {SHOWN[across].meaning.split(',')[0]}")
            axes.set_ylabel(f"{SHOWN[up].label}: {SHOWN[up].meaning.split(':')[0]}")
            axes.spines[["top", "right"]].set_visible(False)
        if crowded:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False,
                          fontsize=6.5)  # fmt: skip
        figure.suptitle("Success against specificity; grey: equal S where ES = PS", fontsize=8, x=0.01, ha="left")
        settle(figure)
        if not crowded:
            for axes, up in zip(panels, ups, strict=True):
                shown = [row for row in rows if up in row.metrics and across in row.metrics]
                marks = [(row.metrics[across].mean, row.metrics[up].mean) for row in shown]
                place_labels(axes, marks, [row.label for row in shown])
    return figure


def _iso_lines(axes: Axes) -> None:
    steps = [n / 1000 for n in range(1, 1001)]
    for score in ISO:
        found = [(across, up) for across in steps if (up := iso_score(score, across)) is not None]
        axes.plot(*zip(*found, strict=True), color="#d0d0d0", linewidth=0.7, zorder=0)
        axes.annotate(f"S {score:.0%}", found[-1], color="#8a8a8a", fontsize=6, va="center", ha="left", xytext=(2, 0),
                      textcoords="offset points", annotation_clip=False)  # fmt: skip


def _mark(axes: Axes, row: Row, x: Interval, y: Interval, place: int | None) -> None:
    colour, marker = (BASE, "*") if place is None else colour_and_mark(place)
    size = 9 if place is None else 5
    axes.errorbar(
        x.mean, y.mean,
        xerr=[[max(0, x.mean - x.low)], [max(0, x.high - x.mean)]],
        yerr=[[max(0, y.mean - y.low)], [max(0, y.high - y.mean)]],
        color=colour, marker=marker, markersize=size, linewidth=0.8, alpha=0.9, label=row.label,
        markeredgecolor="white", markeredgewidth=0.5, zorder=3,
    )  # fmt: skip
