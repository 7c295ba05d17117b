"""Where several models keep a fact: maps of effects by part of the prompt and layer, side by side on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from obverse.core.plotting import drawing
from obverse.locating.trace import ROLES, TraceKind
from obverse.report._plot_style import settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_ROWS: Mapping[TraceKind, str] = {"hidden": "hidden state", "mlp": "MLPs", "attn": "attentions"}


@dataclass(frozen=True, slots=True)
class Column:
    """The maps of a model, or of the difference between two.

    Attributes:
        name: What stands above.
        tables: Kind → effects as shares, by role (in the order of `ROLES`) and layer; NaN where there is none.
        difference: Whether values may be below 0.
    """

    name: str
    tables: Mapping[TraceKind, NDArray[np.float64]]
    difference: bool = False


def maps(columns: Sequence[Column]) -> Figure:
    """Draw a column a model and a row a kind; all models on one scale, all differences on another.

    Args:
        columns: At least one.

    Raises:
        ObverseError: If matplotlib is not installed.

    Source:
        Meng et al. 2022 (arXiv 2202.05262), figure 1 (average indirect effects by part of the prompt).
    """
    kinds = list(columns[0].tables)
    shown = [
        any(not np.isnan(table[i]).all() for one in columns for table in one.tables.values()) for i in range(len(ROLES))
    ]
    with drawing():
        from matplotlib.figure import Figure

        layers = next(iter(columns[0].tables.values())).shape[1]
        width = min(max(1.3, 0.28 * layers), 3.5)
        figure = Figure((width * len(columns) + 2.6, 1.35 * len(kinds) + 0.8), layout="constrained")
        grid: Any = figure.subplots(len(kinds), len(columns), squeeze=False, sharey=True, sharex=True)
        tops = {signed: _largest([one for one in columns if one.difference == signed]) for signed in (False, True)}
        for place, one in enumerate(columns):
            top = tops[one.difference]
            limits = (-top, top, "RdBu_r") if one.difference else (0.0, top, "Purples")
            mesh: Any = None
            for row, kind in enumerate(kinds):
                mesh = _map(grid[row][place], one.tables[kind][shown] * 100, limits)
                if place == 0:
                    grid[row][place].set_ylabel(_ROWS.get(kind, kind))
                    names = [role for role, has in zip(ROLES, shown, strict=True) if has]
                    grid[row][place].set_yticks([at + 0.5 for at in range(len(names))], names, fontsize=7)
            grid[0][place].set_title(one.name)
            grid[-1][place].set_xlabel("layer")
            last = place + 1 == len(columns) or columns[place + 1].difference != one.difference
            if last:
                label = "difference (points)" if one.difference else "indirect effect (points)"
                bar = figure.colorbar(mesh, ax=[grid[row][place] for row in range(len(kinds))], label=label, pad=0.02)
                if bar.solids is not None:
                    bar.solids.set_rasterized(False)  # a picture inside the page would not be shown
                    bar.solids.set_edgecolor("face")
        settle(figure)
    return figure


def _largest(columns: Sequence[Column]) -> float:
    values = [np.nanmax(np.abs(table)) for one in columns for table in one.tables.values() if not np.isnan(table).all()]
    return float(max(values, default=0.0)) * 100 or 1.0


def _map(axes: Axes, table: NDArray[np.float64], limits: tuple[float, float, str]) -> object:
    low, high, colours = limits
    axes.patch.set(facecolor="0.93")
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(table), cmap=colours, vmin=low, vmax=high, edgecolors="face", linewidth=0.1
    )
    layers = table.shape[1]
    step = next((step for step in (1, 2, 5, 10, 20) if layers <= 10 * step), 50)
    axes.set_xticks([layer + 0.5 for layer in range(0, layers, step)], [str(at) for at in range(0, layers, step)])
    axes.tick_params(axis="y", length=0)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    return mesh
