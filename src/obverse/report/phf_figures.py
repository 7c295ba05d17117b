"""Figures of preference-aware training: what methods say against what they lose, noisy scorers, scales of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import PALETTE, drawing, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    "mle": "#555555",
    "conditional": PALETTE[6],
    "filtering": PALETTE[0],
    "filtering-median": PALETTE[5],
    "unlikelihood": PALETTE[2],
    "awr": PALETTE[4],
    "rwr": PALETTE[1],
}
_OTHER = "#222222"
_SCORE = "findings in 1000 characters"


@dataclass(frozen=True, slots=True)
class Point:
    """A method in a scatter.

    Attributes:
        name: Its name.
        x: What it loses.
        y: Its misalignment.
    """

    name: str
    x: Interval
    y: Interval


@dataclass(frozen=True, slots=True)
class Panel:
    """A scatter.

    Attributes:
        title: What is the same for all its points.
        label: What x is.
        points: The methods.
    """

    title: str
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A method's misalignment by rate of flipped labels.

    Attributes:
        name: Its name.
        rates: The rates, rising.
        scores: One a rate.
    """

    name: str
    rates: tuple[float, ...]
    scores: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times lower than next-token prediction a method scores.

    Attributes:
        name: Its name.
        ratio: The ratio.
        published: Whether rewards have the published scale.
    """

    name: str
    ratio: Interval
    published: bool


def scatter(panels: Sequence[Panel]) -> Figure:
    """Draw misalignment against what is lost, a panel each, with 95 % intervals; lower left is better.

    Raises:
        ObverseError: If matplotlib is not installed.

    Source:
        Korbak et al. 2023, arXiv 2302.08582, figure 2.
    """
    with drawing():
        from matplotlib.figure import Figure

        columns = min(2, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(3.6 * columns, 2.9 * rows), layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(places.flat, panels, strict=False):
            for point in panel.points:
                _cross(axes, point)
            _by_score(axes)
            axes.set_xlabel(panel.label)
            axes.set_title(panel.title, loc="left")
        for axes in list(places.flat)[len(panels) :]:
            axes.set_visible(False)
        places.flat[0].legend(loc="best", frameon=False, fontsize=7)
    return figure


def curves(lines: Sequence[Curve]) -> Figure:
    """Draw misalignment by rate of flipped labels, a line a method, with 95 % intervals.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for line in lines:
            color = _COLORS.get(line.name, _OTHER)
            axes.errorbar(
                line.rates,
                [one.mean for one in line.scores],
                yerr=[[one.mean - one.low for one in line.scores], [one.high - one.mean for one in line.scores]],
                color=color, label=line.name, marker="o", markersize=3, linewidth=1.2, capsize=2,
            )  # fmt: skip
        _by_score(axes)
        axes.set_xticks(sorted({rate for line in lines for rate in line.rates}))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("segments with a flipped label")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=7)
    return figure


def bars(found: Sequence[Bar]) -> Figure:
    """Draw how many times lower than MLE each method scores, on a logarithmic scale, with 95 % intervals.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.2, 0.32 * len(found) + 0.9), layout="constrained")
        axes = figure.subplots()
        for place, bar in enumerate(found):
            color = PALETTE[1] if bar.published else PALETTE[0]
            spread = [[bar.ratio.mean - bar.ratio.low], [bar.ratio.high - bar.ratio.mean]]
            axes.errorbar([bar.ratio.mean], [place], xerr=spread, color=color, marker="o", markersize=4, capsize=2)
        axes.axvline(1, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_yticks(range(len(found)), [bar.name for bar in found])
        axes.invert_yaxis()
        axes.set_xlabel("score of MLE over that of the method (red: rewards as published, blue: normalised)")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def write_scatter(panels: Sequence[Panel], folder: Path, name: str) -> list[Path]:
    """Write `scatter` as PNG and SVG, and return where."""
    return _written(scatter(panels), folder, name)


def write_curves(lines: Sequence[Curve], folder: Path, name: str) -> list[Path]:
    """Write `curves` as PNG and SVG, and return where."""
    return _written(curves(lines), folder, name)


def write_bars(found: Sequence[Bar], folder: Path, name: str) -> list[Path]:
    """Write `bars` as PNG and SVG, and return where."""
    return _written(bars(found), folder, name)


def _written(figure: Figure, folder: Path, name: str) -> list[Path]:
    return [write_figure(figure, folder / f"{name}.{ending}") for ending in ("png", "svg")]


def _cross(axes: Axes, point: Point) -> None:
    axes.errorbar(
        [point.x.mean], [point.y.mean],
        xerr=[[point.x.mean - point.x.low], [point.x.high - point.x.mean]],
        yerr=[[point.y.mean - point.y.low], [point.y.high - point.y.mean]],
        color=_COLORS.get(point.name, _OTHER), marker="o", markersize=4, linewidth=1, capsize=2, label=point.name,
    )  # fmt: skip


def _by_score(axes: Axes) -> None:
    axes.set_yscale("symlog", linthresh=0.1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(bottom=-0.02)
    axes.set_ylabel(_SCORE)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
