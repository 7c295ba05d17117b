"""Names beside the points of a figure, moved until none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DISTANCES = (6, 12, 20, 30, 42, 56, 72)
_ANGLES = [pi / 4 + n * pi / 8 for n in range(16)]
"""Tried in turn, in points from the mark; the nearest free place wins."""


class Box(NamedTuple):
    """A rectangle: left, bottom, right, top."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Return the area that two rectangles share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def distance(self, mark: tuple[float, float]) -> float:
        """Return how far a point is from the rectangle; 0 inside."""
        x, y = mark
        return hypot(max(self.left - x, 0.0, x - self.right), max(self.bottom - y, 0.0, y - self.top))


def arrange(
    marks: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box, unit: float = 1.0
) -> list[Box]:
    """Return a box for each mark's name, near it, that covers no other name and, where there is room, no mark.

    Args:
        marks: Where the points are.
        sizes: Width and height of each name, in the same units.
        frame: What no name may leave.
        unit: Units to a point of type.
    """
    dots = [Box(x - 4 * unit, y - 4 * unit, x + 4 * unit, y + 4 * unit) for x, y in marks]
    placed: list[Box] = []
    for own, ((x, y), (width, height)) in enumerate(zip(marks, sizes, strict=True)):
        best, least = Box(x, y, x + width, y + height), float("inf")
        for far, angle in product(_DISTANCES, _ANGLES):
            across, up = x + far * unit * cos(angle), y + far * unit * sin(angle)
            left = across - width * (1 - cos(angle)) / 2
            bottom = up - height * (1 - sin(angle)) / 2
            box = Box(left, bottom, left + width, bottom + height)
            outside = width * height - box.overlap(frame)
            covered = sum(box.overlap(one) for one in placed) * 10 + sum(box.overlap(dot) for dot in dots)
            away = box.distance(marks[own])
            nearer = sum(box.distance(mark) < 1.5 * away for n, mark in enumerate(marks) if n != own and mark != (x, y))
            cost = covered + outside * 10 + (0.02 * far + 30 * nearer) * unit
            if cost < least:
                best, least = box, cost
        placed.append(best)
    return placed


def place_labels(axes: Axes, marks: Sequence[tuple[float, float]], names: Sequence[str], size: float = 7) -> None:
    """Write names beside points, with a thin line to those that stand away from theirs.

    Args:
        axes: Where the points are drawn; its layout is settled.
        marks: The points, as data.
        names: Their names.
        size: Of the letters, in points.
    """
    unit = axes.figure.dpi / 72
    texts = [axes.text(0, 0, name, fontsize=size, zorder=5) for name in names]
    boxes = [text.get_window_extent() for text in texts]
    around = axes.get_window_extent()
    frame = Box(around.x0, around.y0, around.x1 + 10 * unit, around.y1 + 6 * unit)
    pixels = [tuple(map(float, axes.transData.transform(mark))) for mark in marks]
    found = arrange([(x, y) for x, y in pixels], [(box.width, box.height) for box in boxes], frame, unit)
    back = axes.transData.inverted()
    for text, box, (x, y), mark in zip(texts, found, pixels, marks, strict=True):
        text.set_position(tuple(back.transform((box.left, box.bottom))))
        text.set_verticalalignment("bottom")
        near = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
        if (near[0] - x) ** 2 + (near[1] - y) ** 2 > (9 * unit) ** 2:
            end = back.transform(near)
            axes.plot([mark[0], end[0]], [mark[1], end[1]], color="#aaaaaa", linewidth=0.5, zorder=2)
