"""The figure of experiment 2: how often models name a parent, and how often a child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import drawing, write_figure
from obverse.report._plot_style import COLOURS, percents, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 0.35
"""Width of a bar, as published."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A pair of bars: shares from 0 to 1.

    Attributes:
        label: What stands below.
        parent: Share of right parents.
        child: Share of right children.
    """

    label: str
    parent: Interval
    child: Interval


def celebrity_figure(bars: Sequence[Bars]) -> Figure:
    """Draw a pair of bars for each model or protocol, with 95 % intervals.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(max(3.0, 1.3 * len(bars) + 0.9), 2.9), layout="constrained")
        axes = figure.subplots()
        for side, (name, shift) in enumerate((("parent", -WIDTH / 2), ("child", WIDTH / 2))):
            found = [one.parent if name == "parent" else one.child for one in bars]
            places, means = [i + shift for i in range(len(bars))], [one.mean for one in found]
            low = [max(0.0, one.mean - one.low) for one in found]  # rounding may leave a hair below 0
            high = [max(0.0, one.high - one.mean) for one in found]
            axes.bar(places, means, WIDTH, color=COLOURS[side], label=f"names the {name}")
            axes.errorbar(places, means, [low, high], fmt="none", ecolor="#333333", elinewidth=0.8, capsize=2)
        axes.set_xticks(range(len(bars)), [one.label.replace(", ", ",\n") for one in bars], fontsize=7)
        axes.set_ylabel("right answers")
        axes.set_ylim(bottom=0)
        percents(axes, "y")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
        settle(figure)
    return figure


def write_celebrity_figure(bars: Sequence[Bars], folder: Path) -> tuple[Path, ...]:
    """Write `celebrity_figure` into a folder as ``celebrities.png`` and ``.svg``, and return where."""
    figure = celebrity_figure(bars)
    return tuple(write_figure(figure, folder / f"celebrities.{ending}") for ending in ("png", "svg"))
