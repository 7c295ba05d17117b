"""Colours, marks and axes that the figures of a benchmark share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obverse.core.plotting import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = PALETTE
MARKERS = "os^DvPX"
BASE = "#555555"


def colour_and_mark(place: int) -> tuple[str, str]:
    """Return the colour and the mark of a run; 49 differ."""
    return COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def percents(axes: Axes, *which: str) -> None:
    """Write an axis, ``x`` or ``y``, in percent."""
    for name in which:
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")


def settle(figure: Figure) -> None:
    """Fix the layout, which else is another at each drawing."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
