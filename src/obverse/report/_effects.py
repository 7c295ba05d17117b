"""What the pages of traces and of their averages both say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obverse.locating.trace import TraceKind, window_of
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


def layers_of(kind: TraceKind, layer: int, window: int, n_layers: int) -> str:
    """Return a layer with the layers of its window, e.g. ``layer 12 (7 to 16)``."""
    if kind not in ("mlp", "attn"):
        return f"layer {layer}"
    inside = window_of(layer, window, n_layers)
    return f"layer {layer} ({inside.start} to {inside.stop - 1})" if len(inside) > 1 else f"layer {layer}"


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
