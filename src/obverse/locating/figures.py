"""Causal traces as figures: heat maps, averages by role, and both directions of a fact (rome.md 1.7).

Example:
    ``heat_maps([trace], "needle.pdf")`` draws one panel a kind; ``heat_maps([forward, reverse])`` puts the two
    statements below each other on one colour scale a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from obverse.core import ConfigError, Interval
from obverse.core.plotting import PALETTE, drawing, visible, write_figure
from obverse.locating._panels import ROW, draw_map, layer_ticks, name_rows, panel_width, panels
from obverse.locating.trace import ROLES, TRACE_KINDS, CausalTrace, Role, TraceKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from obverse.locating.averages import Averages

KIND_TITLES: dict[TraceKind, str] = {
    "hidden": "Restoring the hidden state",
    "mlp": "Restoring MLP layers",
    "attn": "Restoring attention layers",
    "severed-mlp": "Restoring the hidden state, MLPs cut off",
    "severed-attn": "Restoring the hidden state, attention cut off",
}
"""What is done to the corrupted run, in plain words."""

COLOUR_MAPS: dict[TraceKind, str] = {
    "hidden": "Purples", "mlp": "Greens", "attn": "Reds", "severed-mlp": "Blues", "severed-attn": "Oranges"
}  # fmt: skip

Part = Literal["first entity", "relation", "second entity"]

ROLE_PARTS: dict[Role, Part] = {
    "first subject token": "first entity",
    "middle subject tokens": "first entity",
    "last subject token": "first entity",
    "first subsequent token": "relation",
    "further tokens": "relation",
    "last token": "second entity",
}
"""Part of the statement that a role lies in; at the last token the second entity is about to be said."""

ROLE_COLOURS = PALETTE[:6]
"""Of the lines, in the order of `ROLES`."""


def layer_axis(kind: TraceKind, window: int) -> str:
    """Return what a layer on the axis of a map stands for."""
    if kind in ("mlp", "attn"):
        name = "MLP" if kind == "mlp" else "attention"
        return f"centre of a window of {window} restored {name} layers" if window > 1 else f"restored {name} layer"
    return "restored layer"


def heat_maps(traces: Sequence[CausalTrace], path: str | Path | None = None) -> Figure:
    """Draw traces as heat maps, tokens by layers: a row of panels a trace, a panel a kind.

    Of one trace the colour is the probability of the answer, from the corrupted run's on, as in the paper. Of several
    it is the indirect effect from 0 on, with one scale a kind, so that they compare. What was not traced is hatched.

    Args:
        traces: At least one, e.g. a statement and its reverse.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If there is no trace, or the file's ending is another.
        ObverseError: If matplotlib is not installed, or the file cannot be written.

    Source:
        Meng et al. 2022, figure 1 (e, f, g).
    """
    if not traces:
        raise ConfigError("There is no trace to draw.", "Give at least one.")
    kinds: tuple[TraceKind, ...] = tuple(kind for kind in TRACE_KINDS if any(kind in trace.kinds for trace in traces))
    single = len(traces) == 1
    tables = [{kind: _numbers(trace, kind, single) for kind in trace.kinds} for trace in traces]
    low = traces[0].corrupted if single else 0.0
    tops = {kind: max(float(table[kind].max()) for table in tables if kind in table) for kind in kinds}
    with drawing(path):
        heights = [max(1.3, ROW * len(trace.tokens)) for trace in traces]
        grid, figure = panels(heights, [panel_width(max(t.n_layers for t in traces))] * len(kinds), 1.0)
        for row, trace, table in zip(grid, traces, tables, strict=True):
            for axes, kind in zip(row, kinds, strict=True):
                cells = table.get(kind, np.full((len(trace.tokens), trace.n_layers), np.nan))
                scale = f"p({visible(trace.answer)})" if single else "indirect effect"
                draw_map(axes, cells, COLOUR_MAPS[kind], (low, tops[kind]), scale)
                axes.set_title(KIND_TITLES[kind])
                axes.set_xlabel(layer_axis(kind, trace.window))
            name_rows(row[0], [_token(trace, i) for i in range(len(trace.tokens))])
            if not single:
                row[0].set_ylabel(f"answer: {visible(trace.answer)}")
        return _finished(figure, " and ".join(dict.fromkeys(trace.model for trace in traces)), path)


def difference_map(forward: CausalTrace, reverse: CausalTrace, path: str | Path | None = None) -> Figure:
    """Draw both directions of a fact aligned by role, and their difference: where would the reverse have to live?

    Columns: the statement, its reverse, reverse less forward. Rows of panels: the kinds that both traces have. A role
    that a statement lacks is hatched. The colour is the mean indirect effect over the tokens in a role.

    Args:
        forward: Trace of the statement.
        reverse: Trace of its reverse, on the same model.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If the traces share no kind, differ in their number of layers, or the file's ending is another.
        ObverseError: If matplotlib is not installed, or the file cannot be written.
    """
    kinds = shared_kinds(forward, reverse)
    with drawing(path):
        grid, figure = panels([1.4] * len(kinds), [panel_width(forward.n_layers)] * 3, 2.0)
        for row, kind in zip(grid, kinds, strict=True):
            sides = [trace.by_role(kind).double().numpy() for trace in (forward, reverse)]
            difference = sides[1] - sides[0]
            top, most = _largest(*sides), _largest(np.abs(difference))
            for axes, table, name in zip(row, sides, ("forward", "reverse"), strict=False):
                draw_map(axes, table, COLOUR_MAPS[kind], (0.0, top), "indirect effect")
                axes.set_title(f"{KIND_TITLES[kind]}: {name}")
            draw_map(row[2], difference, "RdBu", (-most, most), "reverse less forward")
            row[2].set_title("difference")
            name_rows(row[0], [f"{ROLE_PARTS[role]}: {role}" for role in ROLES])
            for axes in row:
                axes.set_xlabel(layer_axis(kind, forward.window))
                for boundary in (3, 5):
                    axes.axhline(boundary, color="0.3", linewidth=0.8)
        return _finished(figure, forward.model, path)


def shared_kinds(forward: CausalTrace, reverse: CausalTrace) -> tuple[TraceKind, ...]:
    """Return the kinds that two traces of one model both have.

    Raises:
        ConfigError: If there is none, or the traces differ in their number of layers.
    """
    kinds: tuple[TraceKind, ...] = tuple(kind for kind in forward.kinds if kind in reverse.kinds)
    if not kinds:
        raise ConfigError(
            f"The traces have no kind in common: {', '.join(forward.kinds)} and {', '.join(reverse.kinds)}.",
            "Trace both directions with the same kinds.",
        )
    if forward.n_layers != reverse.n_layers:
        raise ConfigError(
            f"The traces have {forward.n_layers} and {reverse.n_layers} layers.", "Trace both on the same model."
        )
    return kinds


def average_maps(averages: Averages, path: str | Path | None = None) -> Figure:
    """Draw average indirect effects, roles by layers, a panel a kind, all on the first panel's scale, from 0 on.

    Args:
        averages: Effects averaged over facts.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If the file's ending is another.
        ObverseError: If matplotlib is not installed, or the file cannot be written.

    Source:
        Meng et al. 2022, figure 2.
    """
    tables: dict[TraceKind, NDArray[np.float64]] = {kind: _means(averages, kind) for kind in averages.kinds}
    top = _largest(next(iter(tables.values())))
    with drawing(path):
        grid, figure = panels([1.4], [panel_width(averages.n_layers)] * len(tables), 1.4)
        for axes, (kind, table) in zip(grid[0], tables.items(), strict=True):
            draw_map(axes, table, COLOUR_MAPS[kind], (0.0, top), "average indirect effect")
            axes.set_title(f"{KIND_TITLES[kind]} (n = {averages.n:,})")
            axes.set_xlabel(layer_axis(kind, averages.window))
        name_rows(grid[0][0], [f"{role}*" if "subject" in role else role for role in ROLES])
        return _finished(figure, averages.model, path)


def average_lines(averages: Averages, path: str | Path | None = None) -> Figure:
    """Draw average indirect effects over layers, a line a role with its 95 % band, a panel a kind.

    Args:
        averages: Effects averaged over facts.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If the file's ending is another.
        ObverseError: If matplotlib is not installed, or the file cannot be written.

    Source:
        Meng et al. 2022, figure 7 (bands there are 1.96 standard errors, in the paper's code).
    """
    with drawing(path):
        grid, figure = panels([2.6], [panel_width(averages.n_layers)] * len(averages.kinds), 0.4, "all")
        for axes, kind in zip(grid[0], averages.kinds, strict=True):
            for role, colour in zip(ROLES, ROLE_COLOURS, strict=True):
                _line(axes, averages.effects[kind][role], role, averages.n, colour)
            axes.axhline(0, color="0.4", linewidth=0.6)
            axes.set_title(f"{KIND_TITLES[kind]} (n = {averages.n:,})")
            axes.set_xlabel(layer_axis(kind, averages.window))
            axes.set_xlim(-0.5, averages.n_layers - 0.5)
            axes.set_xticks(layer_ticks(averages.n_layers))
        grid[0][0].set_ylabel("average indirect effect (percentage points)")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        return _finished(figure, averages.model, path)


def _line(axes: Axes, effects: Sequence[Interval | None], role: Role, n: int, colour: str) -> None:
    found = [(layer, value) for layer, value in enumerate(effects) if value is not None]
    if not found:
        return
    layers = [layer for layer, _ in found]
    fewest = min(value.n for _, value in found)
    label = role if fewest == n else f"{role} (n = {fewest:,})"
    axes.plot(layers, [100 * value.mean for _, value in found], color=colour, linewidth=1.2, label=label)
    low, high = ([100 * getattr(value, end) for _, value in found] for end in ("low", "high"))
    axes.fill_between(layers, low, high, color=colour, alpha=0.18, linewidth=0)


def _numbers(trace: CausalTrace, kind: TraceKind, probabilities: bool) -> NDArray[np.float64]:
    return (trace.restored[kind] if probabilities else trace.indirect_effect(kind)).double().cpu().numpy()


def _means(averages: Averages, kind: TraceKind) -> NDArray[np.float64]:
    """Return a kind's average effects, (role, layer); NaN where no fact had the role."""
    table = np.full((len(ROLES), averages.n_layers), np.nan)
    for i, role in enumerate(ROLES):
        for layer, value in enumerate(averages.effects[kind][role]):
            if value is not None:
                table[i, layer] = value.mean
    return table


def _largest(*tables: NDArray[np.float64]) -> float:
    """Return the largest number of tables that may have gaps; 0 if there is none."""
    return max((float(np.nanmax(table)) for table in tables if not np.isnan(table).all()), default=0.0)


def _token(trace: CausalTrace, position: int) -> str:
    return visible(trace.tokens[position]) + ("*" if position in trace.subject else "")


def _finished(figure: Figure, model: str, path: str | Path | None) -> Figure:
    figure.suptitle(model)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # places everything anew at each drawing, never twice the same
    if path is not None:
        write_figure(figure, path)
    return figure
