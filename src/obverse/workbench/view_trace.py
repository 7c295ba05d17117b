"""What the tab Locate shows: three maps on one scale, and the strongest places."""

from __future__ import annotations

from html import escape

from obverse.core.plotting import visible
from obverse.locating.figures import KIND_TITLES
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.report._effects import MEANING, layers_of, token_map
from obverse.report._format import data, points
from obverse.report._maps import scale
from obverse.workbench.fragments import framed, sheet
from obverse.workbench.tracing import Located, best_layer

SITES = 8
"""Places in the table of the strongest."""


def located_page(found: Located) -> str:
    """Return a trace, whole or as far as it is."""
    trace = found.trace
    top = max(float(trace.indirect_effect(kind).max()) for kind in trace.kinds)
    maps = "".join(f"<section class=side>{_map(trace, kind, top)}</section>" for kind in trace.kinds)
    coming = [
        f"<section class=side><h3>{KIND_TITLES[kind]}</h3><p>to come</p></section>"
        for kind in found.waiting
        if kind not in trace.kinds
    ]
    said = f"<p class=note>{escape(found.note)}</p>" if found.note else ""
    return framed(
        f"<h2>{escape(trace.fact.text)} … <ins>{escape(trace.answer.strip() or visible(trace.answer))}</ins></h2>",
        f"<p>Probability {data(trace.clean)}; with noise on the subject {data(trace.corrupted)}. Choose a cell to "
        "choose its layer for the edit. By keys: Tab to a map, arrows to a cell, Enter. * marks the subject.</p>",
        said,
        f"<div class=maps>{maps}{''.join(coming)}</div>",
        "" if found.waiting else _sites(trace),
        f"<p class=note>{MEANING}</p>",
        "<p class=tip role=status></p>",
    )


def chosen(layer: int, trace: CausalTrace | None) -> str:
    """Return which layer is chosen for the edit, in a sentence."""
    own = trace is not None and best_layer(trace) == layer
    return f"Layer {layer} is chosen for the edit" + (
        ", where the MLPs' effect at the subject is strongest." if own else "."
    )


def _map(trace: CausalTrace, kind: TraceKind, top: float) -> str:
    legend = scale("0", data(max(top, 0.0), points), "indirect effect; one scale for all maps")
    return f"<h3>{KIND_TITLES[kind]}</h3>{token_map(trace, kind, top, legend)}"


def _sites(trace: CausalTrace) -> str:
    rows = [
        (
            KIND_TITLES[site.kind],
            f"<b>{escape(visible(site.token))}</b> <small>{trace.role(site.position) or 'before the subject'}</small>",
            layers_of(site.kind, site.layer, trace.window, trace.n_layers),
            f"<b>{data(site.indirect_effect, points)}</b>",
        )
        for site in trace.strongest(SITES)
    ]
    return sheet("The strongest places", ("What", "Token", "Layer (window)", "Indirect effect"), rows)
