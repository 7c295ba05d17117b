"""The figure of a sweep: what edits came to by layer, and below it what a causal trace saw there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Interval
from obverse.core.plotting import PALETTE, drawing, write_figure
from obverse.editing.profile import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SCORES = (
    ("S", "score", "#222222", 2.0),
    ("efficacy", "efficacy", PALETTE[6], 1.0),
    ("generalization", "generalization", PALETTE[0], 1.0),
    ("specificity", "specificity", PALETTE[4], 1.0),
)
"""Name, attribute of `Scores`, colour and width of each line."""

_EFFECTS = {"mlp": ("MLPs of a window of layers", PALETTE[2]), "hidden": ("hidden state", PALETTE[6])}


def sweep_figure(profile: Profile) -> Figure:
    """Draw scores by layer with 95 % bands, the best layer, and the traced effects if there are any.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    with drawing():
        from matplotlib.figure import Figure

        rows = 2 if profile.predictions else 1
        figure = Figure(figsize=(5.2, 2.6 * rows), layout="constrained")
        first, *second = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        _draw_scores(first, profile)
        for axes in second:
            _draw_effects(axes, profile)
        for axes in (first, *second):
            axes.axvline(profile.best, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#e5e5e5", linewidth=0.5)
        last = second[-1] if second else first
        last.set_xlabel(f"layer of {Path(profile.model).name}")
        last.xaxis.get_major_locator().set_params(integer=True)
    return figure


def write_sweep_figure(profile: Profile, folder: Path) -> tuple[Path, ...]:
    """Write `sweep_figure` into a folder as ``sweep.png`` and ``sweep.svg``, and return where."""
    figure = sweep_figure(profile)
    return tuple(write_figure(figure, folder / f"sweep.{ending}") for ending in ("png", "svg"))


def _draw_scores(axes: Axes, profile: Profile) -> None:
    for name, attribute, color, width in _SCORES:
        found = {layer: getattr(scores, attribute) for layer, scores in profile.table.items()}
        _line(axes, found, name, color, width)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("share that holds")
    axes.set_title(f"{profile.facts} facts edited by {profile.method} at each layer; best: {profile.best}", loc="left")
    axes.legend(loc="lower left", frameon=False, ncols=2, fontsize=7)


def _draw_effects(axes: Axes, profile: Profile) -> None:
    for one in profile.predictions:
        name, color = _EFFECTS.get(one.kind, (one.kind, "#222222"))
        _line(axes, one.effects, name, color, 2.0 if one.kind == "mlp" else 1.0)
    axes.axhline(0, color="#999999", linewidth=0.6)
    axes.set_ylabel("mean indirect effect (probability)")
    axes.set_title("what a trace restores at the subject's last token", loc="left")
    axes.legend(loc="best", frameon=False, fontsize=7)


def _line(axes: Axes, found: Mapping[int, Interval], name: str, color: str, width: float) -> None:
    layers = sorted(found)
    points = [found[layer] for layer in layers]
    band = 0.18 if width > 1 else 0.07
    axes.plot(layers, [p.mean for p in points], color=color, linewidth=width, label=name, marker="o", markersize=2)
    axes.fill_between(layers, [p.low for p in points], [p.high for p in points], color=color, alpha=band, linewidth=0)
