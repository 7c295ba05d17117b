"""The figure of a red team: scores of the pool by round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import drawing, write_figure
from obverse.report._plot_style import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = tuple[int, Interval, Interval, Interval | None]
"""Round, mean of the pool, best prompt, mean of the round's new prompts."""


def red_team_figure(points: Sequence[Line]) -> Figure:
    """Draw the three curves by round with 95 % bands.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(4.6, 2.8), layout="constrained")
        axes = figure.subplots()
        for name, column, colour in zip(("best prompt", "pool", "new prompts"), (2, 1, 3), COLOURS, strict=False):
            found = [(point[0], interval) for point in points if isinstance(interval := point[column], Interval)]
            rounds, means = [r for r, _ in found], [i.mean for _, i in found]
            axes.plot(rounds, means, color=colour, label=name, marker="o", markersize=2.5, linewidth=1.2)
            axes.fill_between(
                rounds, [i.low for _, i in found], [i.high for _, i in found], color=colour, alpha=0.15, linewidth=0
            )
        axes.set_xlabel("round")
        axes.set_ylabel("score (higher: worse)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e5e5e5", linewidth=0.5)
        axes.legend(frameon=False, fontsize=7)
    return figure


def write_red_team_figure(points: Sequence[Line], folder: Path) -> tuple[Path, ...]:
    """Write `red_team_figure` into a folder as ``rounds.png`` and ``rounds.svg``, and return where."""
    figure = red_team_figure(points)
    return tuple(write_figure(figure, folder / f"rounds.{ending}") for ending in ("png", "svg"))
