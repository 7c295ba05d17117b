"""Figures of the reversal curse: right answers by direction, and how likely right and random answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from obverse.core import Interval
from obverse.core.plotting import drawing, write_figure
from obverse.report._plot_style import BASE, COLOURS, percents, settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_INCHES = 9.0
"""Width of a figure, at most: what a page has room for."""


@dataclass(frozen=True, slots=True)
class Group:
    """Bars that stand together, e.g. those of an objective.

    Attributes:
        name: What stands below.
        bars: Name of a subtask → share of right answers.
    """

    name: str
    bars: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Violin:
    """How likely answers are, a value a person.

    Attributes:
        name: What stands below.
        right: Log-probabilities of right answers, in nats.
        random: Of random ones, of the same persons.
    """

    name: str
    right: tuple[float, ...]
    random: tuple[float, ...]


def bars(groups: Sequence[Group]) -> Figure:
    """Draw the share of right answers, a group of bars an objective, a colour a subtask, with 95 % intervals.

    Args:
        groups: At least one; a subtask that a group lacks leaves a gap.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    names = list(dict.fromkeys(name for group in groups for name in group.bars))
    with drawing():
        from matplotlib.figure import Figure

        wide = min(max(3.8, 0.22 * len(names) * len(groups) + 0.8), MOST_INCHES)
        figure = Figure(figsize=(wide, 3.1), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(names)
        for side, name in enumerate(names):
            having = [(place, group.bars[name]) for place, group in enumerate(groups) if name in group.bars]
            places = [place + (side - (len(names) - 1) / 2) * width for place, _ in having]
            found = [one for _, one in having]
            below = [max(0.0, one.mean - one.low) for one in found]
            above = [max(0.0, one.high - one.mean) for one in found]
            color = COLOURS[side % len(COLOURS)]
            # The edge, drawn over the axis, is what is seen of a bar of no height.
            axes.bar(places, [one.mean for one in found], width, color=color, label=name,
                     edgecolor=color, linewidth=0.8, clip_on=False, zorder=2.6)  # fmt: skip
            axes.errorbar(places, [one.mean for one in found], [below, above],
                          fmt="none", ecolor="#333333", elinewidth=0.7, capsize=1.5, zorder=3)  # fmt: skip
        turned = {"rotation": 30, "ha": "right"} if len(groups) > 4 else {}
        axes.set_xticks(range(len(groups)), [group.name for group in groups], **turned)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("right answers")
        percents(axes, "y")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, frameon=False)
        settle(figure)
    return figure


def violins(found: Sequence[Violin]) -> Figure:
    """Draw the log-probabilities of right (left half, blue) and random answers (right half, grey), with their medians.

    Args:
        found: At least one, each of two persons or more.

    Raises:
        ObverseError: If matplotlib is not installed.

    Source:
        Berglund et al. 2023 (arXiv 2309.12288), figure 4 and section 2.1.2.
    """
    with drawing():
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        figure = Figure(figsize=(min(max(3.4, 0.9 * len(found) + 0.8), MOST_INCHES), 3.1), layout="constrained")
        axes = figure.subplots()
        _halves(axes, [one.right for one in found], COLOURS[0], "low")
        _halves(axes, [one.random for one in found], BASE, "high")
        turned = {"rotation": 30, "ha": "right"} if len(found) > 4 else {}
        axes.set_xticks(range(len(found)), [one.name for one in found], **turned)
        axes.set_ylabel("log-probability of an answer (nats)")
        axes.spines[["top", "right"]].set_visible(False)
        marks = [Line2D([], [], color=color, label=name) for name, color in (("right", COLOURS[0]), ("random", BASE))]
        figure.legend(handles=marks, loc="outside upper left", ncols=2, frameon=False)
        settle(figure)
    return figure


def write_bars(groups: Sequence[Group], folder: Path, name: str) -> list[Path]:
    """Write `bars` as PNG and SVG, and return where."""
    return _written(bars(groups), folder, name)


def write_violins(found: Sequence[Violin], folder: Path, name: str) -> list[Path]:
    """Write `violins` as PNG and SVG, and return where."""
    return _written(violins(found), folder, name)


def _halves(axes: Axes, values: Sequence[Sequence[float]], color: str, side: Literal["low", "high"]) -> None:
    drawn: Any = axes.violinplot(values, range(len(values)), widths=0.8, showmedians=True, showextrema=False, side=side)
    for body in drawn["bodies"]:
        body.set(facecolor=color, alpha=0.5, linewidth=0)
    drawn["cmedians"].set(color=color, linewidth=1.2)


def _written(figure: Figure, folder: Path, name: str) -> list[Path]:
    return [write_figure(figure, folder / f"{name}.{ending}") for ending in ("png", "svg")]
