"""An attribution as a picture: what each layer adds to the answer, and its strongest neurons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core.plotting import PALETTE, drawing, visible, write_figure
from obverse.locating._panels import layer_ticks, panel_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from obverse.locating.neurons import Attribution

POSITIVE, NEGATIVE = PALETTE[:2]
DOTS = 300
"""Neurons drawn, those with the largest scores in size."""
NAMED = 8
"""Neurons named by their place."""


def draw(attribution: Attribution, path: str | Path | None = None) -> Figure:
    """Draw the sum of each layer's scores as bars, and its strongest neurons as dots below.

    Args:
        attribution: The scores.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If the ending is another.
        ObverseError: If matplotlib is missing, or the file cannot be written.
    """
    with drawing(path):
        figure = _drawn(attribution)
    if path is not None:
        write_figure(figure, path)
    return figure


def _drawn(one: Attribution) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((panel_width(one.n_layers) + 2.5, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    sums = one.by_layer().tolist()
    upper.bar(range(one.n_layers), sums, color=[POSITIVE if value >= 0 else NEGATIVE for value in sums], width=0.7)
    upper.set_ylabel("a layer's neurons\ntogether")
    flat = one.scores.flatten()
    places = flat.abs().topk(min(DOTS, flat.numel())).indices
    layers, scores = (places // one.scores.shape[1]).tolist(), flat[places].tolist()
    lower.scatter(layers, scores, s=9, c=[POSITIVE if value >= 0 else NEGATIVE for value in scores], linewidths=0)
    for neuron in one.top(NAMED):
        lower.annotate(str(neuron.index), (neuron.layer, neuron.score), (4, 0), textcoords="offset points", va="center")
    lower.set_ylabel("each neuron")
    lower.set_xlabel(f"layer of {one.model}")
    lower.set_xticks(layer_ticks(one.n_layers))
    for axes in (upper, lower):
        axes.axhline(0, color="0.3", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    upper.set_title(
        f"What MLP neurons at “{visible(one.tokens[one.position])}” add to p({visible(one.answer)}) = "
        f"{one.probability:.3f}\n{visible(one.fact.text, 90)}"
    )
    return figure
