"""The logit lens as a picture: lines over layers for one token, a heat map of tokens and layers for several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core.plotting import PALETTE, drawing, visible, write_figure
from obverse.locating.lens import EMBEDDING, Lens, parting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

BEFORE, AFTER = PALETTE[1], PALETTE[0]
MOST_WORDS = 40
"""Of more tokens than these, the cells are too narrow to write the likeliest token into each."""


def draw(before: Lens, after: Lens | None = None, path: str | Path | None = None) -> Figure:
    """Draw one lens, or two of the same prompt.

    One token is drawn as lines over layers: probability and rank of the answer. Several are drawn as a heat map: the
    likeliest token in each cell (bold where it is the answer), coloured by its probability; cells whose likeliest token
    the second lens changes are framed there.

    Args:
        before: The lens.
        after: A second one, e.g. with an edit.
        path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.

    Raises:
        ConfigError: If the ending is another.
        ObverseError: If matplotlib is missing, or the file cannot be written.
    """
    lenses = [before] if after is None else [before, after]
    with drawing(path):
        figure = _lines(lenses) if len(before.positions) == 1 else _heat_maps(lenses)
    if path is not None:
        write_figure(figure, path)
    return figure


def _named(lenses: Sequence[Lens]) -> list[tuple[str, str, Lens]]:
    names = ("before the edit", "after the edit") if len(lenses) > 1 else (lenses[0].model,)
    return list(zip(names, (BEFORE, AFTER), lenses, strict=False))


def _lines(lenses: Sequence[Lens]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    first = lenses[0]
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    for name, colour, lens in _named(lenses):
        upper.plot(lens.layers, lens.probability[0].tolist(), color=colour, marker="o", markersize=3, label=name)
        lower.plot(lens.layers, lens.rank[0].tolist(), color=colour, marker="o", markersize=3)
    where = parting(*lenses)[0] if len(lenses) > 1 else None
    if where is not None:
        for axes in (upper, lower):
            axes.axvline(where, color="0.5", linestyle=":", label="they part" if axes is upper else None)
    answer = visible(first.answer)
    upper.set(ylabel=f"probability of “{answer}”", ylim=(-0.03, 1.03), title=_title(first))
    lower.set(ylabel=f"rank of “{answer}”", yscale="log", xlabel="layer")
    lower.yaxis.set_major_formatter(FuncFormatter(lambda rank, _: f"{rank:,.0f}"))
    lower.invert_yaxis()  # the best rank on top
    ticks = [EMBEDDING, *range(0, first.layers.stop, 1 + first.layers.stop // 20)]
    lower.set_xticks(ticks, ["emb.", *map(str, ticks[1:])])
    upper.legend(frameon=False)
    return figure


def _title(lens: Lens) -> str:
    token = visible(lens.tokens[lens.positions[0]])
    return f"{visible(lens.prompt, 80)}\nread at token {lens.positions[0]}, “{token}”"


def _layer(layer: int) -> str:
    return "embedding" if layer == EMBEDDING else str(layer)


def _heat_maps(lenses: Sequence[Lens]) -> Figure:
    from matplotlib.figure import Figure

    first = lenses[0]
    tokens, depths = len(first.positions), len(first.layers)
    words = tokens <= MOST_WORDS
    width, height = max(3.0, tokens * (0.72 if words else 0.16)), max(2.0, depths * 0.19)
    figure = Figure(figsize=(len(lenses) * (width + 0.3) + 1.6, height + 1.4), layout="constrained")
    axes = figure.subplots(1, len(lenses), sharey=True, squeeze=False)[0]
    image = None
    for (name, _, lens), place in zip(_named(lenses), axes, strict=True):
        image = _heat_map(place, lens, first, words)
        place.set_title(name)
    axes[0].set_ylabel("layer")
    figure.suptitle(visible(first.prompt, 100), fontsize=9)
    if image is not None:
        figure.colorbar(image, ax=list(axes), label="probability of the likeliest token", shrink=0.8)
    return figure


def _heat_map(axes: Axes, lens: Lens, first: Lens, words: bool) -> AxesImage:
    from matplotlib.patches import Rectangle

    shown = lens.top_probabilities[..., 0].T.numpy()  # depth read
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    changed = lens.top_ids[..., 0] != first.top_ids[..., 0]
    for column, row in changed.nonzero().tolist():
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=AFTER, linewidth=0.8))
    if words:
        for column, tokens in enumerate(lens.top_ids[..., 0].tolist()):
            for row, token in enumerate(tokens):
                axes.text(
                    column,
                    row,
                    visible(lens.texts[token], 10),
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="white" if shown[row, column] > 0.6 else "black",
                    fontweight="bold" if token == lens.answer_id else "normal",
                )
    labels = [f"{visible(lens.tokens[position], 12)} {position}" for position in lens.positions]
    axes.set_xticks(range(len(labels)), labels, rotation=45 if words else 90, ha="right" if words else "center")
    axes.set_yticks(range(len(lens.layers)), [_layer(layer) for layer in lens.layers])
    axes.tick_params(length=0, labelsize=7)
    return image
