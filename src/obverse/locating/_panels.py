"""Panels of a figure whose horizontal axis is the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ROW = 0.16
"""Height of a row of a heat map, in inches."""
VECTOR_CELLS = 4000
"""Maps with more cells are stored as pixels inside a PDF or SVG."""


def layer_ticks(n_layers: int) -> list[int]:
    """Return the layers that are numbered on an axis: all, or every second, fifth, tenth or twentieth."""
    step = next((step for step in (1, 2, 5, 10, 20) if n_layers <= 10 * step), 50)
    return list(range(0, n_layers, step))


def panels(
    heights: Sequence[float], widths: Sequence[float], labels: float, share: Literal["row", "all"] = "row"
) -> tuple[list[list[Axes]], Figure]:
    """Return panels, by row, and their figure; sizes in inches, ``labels`` the width of the rows' names."""
    from matplotlib.figure import Figure

    figure = Figure((sum(widths) + labels + 0.4, sum(heights) + 0.75 * len(heights) + 0.3), layout="constrained")
    grid = figure.subplots(
        len(heights), len(widths), squeeze=False, sharey="row" if share == "row" else True,
        gridspec_kw={"height_ratios": list(heights), "width_ratios": list(widths)},
    )  # fmt: skip
    return [list(row) for row in grid], figure


def panel_width(n_layers: int) -> float:
    """Return how wide a panel of so many layers is with its colour bar, in inches."""
    return min(max(3.3, 0.09 * n_layers + 0.5), 9.5)


def draw_map(axes: Axes, table: NDArray[np.float64], colours: str, limits: tuple[float, float], scale: str) -> None:
    """Draw one map, first row on top, gaps hatched, with its colour bar."""
    low, high = limits
    axes.patch.set(facecolor="0.95", hatch="////", edgecolor="0.7")
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(table), cmap=colours, vmin=low, vmax=high if high > low else low + 1e-6,
        edgecolors="face", linewidth=0.1, rasterized=table.size > VECTOR_CELLS,
    )  # fmt: skip
    n_layers = table.shape[1]
    axes.set_xticks([layer + 0.5 for layer in layer_ticks(n_layers)], [str(layer) for layer in layer_ticks(n_layers)])
    axes.tick_params(axis="y", length=0)
    if not axes.yaxis_inverted():  # panels of a row share it
        axes.invert_yaxis()
    height = ROW * table.shape[0]
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=min(1.0, 2.5 / height), anchor=(0.0, 1.0), pad=0.02)
    bar.set_label(scale)


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Name the rows of a map."""
    axes.set_yticks([row + 0.5 for row in range(len(labels))], list(labels))
