"""Effects as the pages of traces, of averages and of trained models show them: maps, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from obverse.core.plotting import visible
from obverse.locating.figures import KIND_TITLES, ROLE_PARTS, layer_axis
from obverse.locating.trace import ROLES, CausalTrace, TraceKind, window_of
from obverse.report._format import percent, points
from obverse.report._maps import Cell, Row, heat_map
from obverse.report._page import Origin, origin

if TYPE_CHECKING:
    from obverse.core import JsonValue
    from obverse.model.fingerprint import Fingerprint

MEANING = (
    "Noise on the subject takes the answer away; then the states of one place are put back to what they were without "
    "noise, and each cell shows how much of the answer's probability comes back: the indirect effect. A strong cell is "
    "a place that the answer passes through; that does not show that the fact is stored there, nor that an edit there "
    "works best."
)


ROLE_LABELS = 172
"""Width of the names of roles, in pixels."""
BESIDE_LAYERS = 26
"""Maps with more layers stand below each other."""


def layers_of(kind: TraceKind, layer: int, window: int, n_layers: int) -> str:
    """Return a layer with the layers of its window, e.g. ``layer 12 (7 to 16)``."""
    if kind not in ("mlp", "attn"):
        return f"layer {layer}"
    inside = window_of(layer, window, n_layers)
    return f"layer {layer} ({inside.start} to {inside.stop - 1})" if len(inside) > 1 else f"layer {layer}"


def token_map(
    trace: CausalTrace, kind: TraceKind, top: float, legend: str, *, tips: bool = True, numbers: bool = True
) -> str:
    """Return a trace's indirect effects of a kind as a heat map, tokens by layers.

    Args:
        trace: The trace.
        kind: One that it has.
        top: Effect that has the full colour, a share.
        legend: HTML below the map.
        tips: Whether cells say their numbers on hover.
        numbers: Whether a table of the numbers is put below, folded.
    """
    effects, restored = trace.indirect_effect(kind).tolist(), trace.restored[kind].tolist()
    places = [layers_of(kind, layer, trace.window, trace.n_layers) for layer in range(trace.n_layers)]
    rows = list[Row]()
    for position, token in enumerate(trace.tokens):
        name, marked = visible(token), position in trace.subject
        cells = [
            Cell(
                share(effect, top),
                f"{name} · {place}\nprobability {percent(p)} · effect {points(effect)}" if tips else "",
                f"{100 * effect:.2f}" if numbers else "",
            )
            for place, effect, p in zip(places, effects[position], restored[position], strict=True)
        ]
        rows.append(Row(f"{name}*" if marked else name, cells, marked))
    return heat_map(KIND_TITLES[kind], kind, rows, legend, axis=layer_axis(kind, trace.window))


def role_map(
    name: str,
    kind: TraceKind,
    effects: Sequence[Sequence[float]],
    top: float,
    window: int,
    legend: str,
    *,
    two_sided: bool = False,
) -> str:
    """Return effects by role and layer as a heat map.

    Args:
        name: Whose effects they are, plain text.
        kind: What was restored.
        effects: Shares, by role (in the order of `ROLES`) and layer; NaN where there is none.
        top: Effect that has the full colour, a share.
        window: Layers restored together.
        legend: HTML below the map.
        two_sided: Whether they are differences, in two colours.
    """
    rows, group = list[Row](), ""
    for role, values in zip(ROLES, effects, strict=True):
        cells = [
            None if effect != effect else Cell(
                effect / top if two_sided and top else share(effect, top),
                f"{role} · {layers_of(kind, layer, window, len(values))}\n{name} {points(effect)}",
                f"{100 * effect:.2f}",
            )
            for layer, effect in enumerate(values)
        ]  # fmt: skip
        rows.append(Row(role, cells, group=ROLE_PARTS[role] if ROLE_PARTS[role] != group else ""))
        group = ROLE_PARTS[role]
    css, axis = "difference" if two_sided else kind, layer_axis(kind, window)
    return heat_map(f"{KIND_TITLES[kind]}, {name}", css, rows, legend, axis=axis, labels=ROLE_LABELS)


def beside(maps: Sequence[str], n_layers: int) -> str:
    """Return maps side by side where they are narrow, else below each other."""
    if len(maps) == 1 or n_layers > BESIDE_LAYERS:
        return "".join(maps)
    return f'<div class="cards wide">{"".join(f"<section class=side>{drawn}</section>" for drawn in maps)}</div>'


def share(effect: float, top: float) -> float:
    """Return an effect as a share of the largest; 0 if it is none or less."""
    return max(0.0, effect / top) if top > 0 else 0.0


def effects_origin(model: str, fingerprint: Fingerprint, background: Origin, **settings: JsonValue) -> str:
    """Return the section that says how a page was made.

    Args:
        model: Name of the model.
        fingerprint: What model it was.
        background: What the caller says; its settings are added to, and come before, those known.
        **settings: Those known from the numbers.
    """
    shown: dict[str, JsonValue] = {**settings, **(background.get("settings") or {})}
    return origin({"model": model, "model's fingerprint": str(fingerprint)}, {**background, "settings": shown})
