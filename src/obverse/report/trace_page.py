"""Write causal traces as one HTML page: maps with numbers on hover, the strongest sites, both directions compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from obverse.core import ConfigError
from obverse.core.plotting import visible
from obverse.locating.figures import KIND_TITLES
from obverse.locating.trace import TRACE_KINDS, CausalTrace, TraceKind
from obverse.report._averages import AveragesBackground, render_averages
from obverse.report._effects import MEANING, beside, effects_origin, layers_of, role_map, token_map
from obverse.report._format import data, percent, points, table
from obverse.report._maps import scale
from obverse.report._page import Origin, embed, page, section, write_page

if TYPE_CHECKING:
    from obverse.locating.averages import Averages

SHOWN_SITES = 10
"""Rows of the table of strongest sites."""
FAINT = 0.25
"""Effects of the reverse below this share of the largest are drawn again on a scale of their own."""
EXACT_CELLS = 8_000
"""Traces with more cells are embedded with six digits after the point, and are not written as tables."""
TOLD_CELLS = 12_000
"""Maps of traces with more cells have no numbers on hover: a page stays below 2 MB."""


def write_trace_page(
    path: str | Path,
    traces: Sequence[CausalTrace],
    *,
    reverse: bool = False,
    notes: Sequence[str] = (),
    **background: Unpack[Origin],
) -> Path:
    """Write traces as a page of HTML and return where; an older page is replaced as a whole.

    All maps of a kind share one scale.

    Args:
        path: Where.
        traces: At least one.
        reverse: Whether the two traces are those of a statement and its reverse, to be compared by role.
        notes: Sentences to be read with the numbers.
        **background: What to say about how they were made, see `Origin`.

    Raises:
        ConfigError: If there is no trace, or not two for both directions.
        ObverseError: If the page cannot be written.
    """
    return write_page(path, render_traces(traces, reverse=reverse, notes=notes, **background))


def write_averages_page(path: str | Path, averages: Averages, **background: Unpack[AveragesBackground]) -> Path:
    """Write average effects by role as a page of HTML and return where; an older page is replaced as a whole.

    Args:
        path: Where.
        averages: Effects averaged over facts.
        **background: What to say about how they were made, see `AveragesBackground`.

    Raises:
        ObverseError: If the page cannot be written.
    """
    return write_page(path, render_averages(averages, **background))


def render_traces(
    traces: Sequence[CausalTrace], *, reverse: bool = False, notes: Sequence[str] = (), **background: Unpack[Origin]
) -> str:
    """Return traces as a page of HTML, see `write_trace_page`."""
    if not traces:
        raise ConfigError("There is no trace to show.", "Give at least one.")
    if reverse and len(traces) != 2:
        raise ConfigError(f"Both directions are two traces, not {len(traces)}.", "Give the statement and its reverse.")
    first = traces[0]
    title = _line(first) if len(traces) == 1 else f"{len(traces):,} statements traced"
    if reverse:
        title = "Both directions of a fact"
    tops: dict[TraceKind, float] = {
        kind: max(float(trace.indirect_effect(kind).max()) for trace in traces if kind in trace.kinds)
        for kind in TRACE_KINDS
        if any(kind in trace.kinds for trace in traces)
    }
    models = " and ".join(dict.fromkeys(trace.model for trace in traces))
    body = [
        f"<header><p class=kicker>Where an answer comes from in a language model</p><h1>{title}</h1>"
        f"<p>Model {escape(models)}. {MEANING}</p></header>",
        section("In short", "", _summary(traces, notes)),
        *(_map_section(kind, traces, top) for kind, top in tops.items()),
        _own_scale_section(traces[1], tops) if reverse else "",
        _difference_section(traces) if reverse else "",
        section("The strongest sites", "", "".join(_sites(trace, len(traces) > 1) for trace in traces)),
        effects_origin(
            first.model, first.fingerprint, background, window=first.window, noise=first.noise, level=first.level,
            replace=first.replace, samples=first.samples, seed=first.seed,
        ),
    ]  # fmt: skip
    return page(f"{first.fact.text} … {first.answer.strip()}", body, embed(_numbers(traces)))


def _line(trace: CausalTrace) -> str:
    return f"{escape(trace.fact.text)} … <ins>{escape(trace.answer.strip() or visible(trace.answer))}</ins>"


def _summary(traces: Sequence[CausalTrace], notes: Sequence[str]) -> str:
    rows = [
        (
            _line(trace),
            f"<b>{data(trace.clean)}</b>",
            f"<b>{data(trace.corrupted)}</b>",
            f"<b>{data(trace.total_effect, points)}</b>",
        )
        for trace in traces
    ]
    head = ("Statement and answer", "Clean", "Corrupted subject", "Total effect")
    note = "<p class=note>Probability of the answer after the statement; corrupted: mean over noise samples.</p>"
    return table(head, rows, "figures") + note + "".join(f"<p class=note>{escape(said)}</p>" for said in notes)


def _map_section(kind: TraceKind, traces: Sequence[CausalTrace], top: float) -> str:
    several = len(traces) > 1
    maps = [
        (f"<h3>{_line(trace)}</h3>" if several else "") + _token_map(trace, kind, top, several, _cells(traces))
        for trace in traces
        if kind in trace.kinds
    ]
    intro = "Across: layers. Down: the tokens; * marks those of the subject."
    if _cells(traces) > TOLD_CELLS:
        intro += " The cells are too many to be told one by one; their numbers are in the page's source as JSON."
    return section(KIND_TITLES[kind], intro, beside(maps, traces[0].n_layers))


def _own_scale_section(trace: CausalTrace, tops: Mapping[TraceKind, float]) -> str:
    """Draw the reverse once more where its effects are too small to be seen on the scale of both."""
    own: dict[TraceKind, float] = {kind: float(trace.indirect_effect(kind).max()) for kind in trace.kinds}
    maps = [
        f"<h3>{KIND_TITLES[kind]}</h3>{_token_map(trace, kind, top, False, _cells([trace]))}"
        for kind, top in own.items()
        if 0 < top < FAINT * tops[kind]
    ]
    intro = f"{_line(trace)}: where its small effects are. Mind the scales."
    return section("The reverse on scales of its own", intro, beside(maps, trace.n_layers) if maps else "")


def _cells(traces: Sequence[CausalTrace]) -> int:
    return sum(trace.restored[kind].numel() for trace in traces for kind in trace.kinds)


def _token_map(trace: CausalTrace, kind: TraceKind, top: float, several: bool, cells: int) -> str:
    """Return a map; ``cells`` is how many the page has."""
    meaning = "indirect effect; nothing or less is blank"
    if several:
        meaning += "; one scale for all statements"
    else:
        meaning += f" (probability {percent(trace.corrupted)} to {percent(trace.corrupted + max(top, 0.0))})"
    legend = scale("0", data(max(top, 0.0), points), meaning)
    return token_map(trace, kind, top, legend, tips=cells <= TOLD_CELLS, numbers=cells <= EXACT_CELLS)


def _difference_section(traces: Sequence[CausalTrace]) -> str:
    if traces[0].n_layers != traces[1].n_layers:
        return ""
    kinds: list[TraceKind] = [kind for kind in traces[0].kinds if kind in traces[1].kinds]
    intro = (
        "Each row is a part that a token plays: the subject is the first entity, the tokens after it say the relation, "
        "and at the last token the second entity is about to be said. A cell is the mean over the tokens in that part."
    )
    parts = "".join(f"<h3>{KIND_TITLES[kind]}</h3>{_role_maps(traces, kind)}" for kind in kinds)
    return section("Both directions, part by part", intro, parts)


def _role_maps(traces: Sequence[CausalTrace], kind: TraceKind) -> str:
    forward, reverse = (trace.by_role(kind).tolist() for trace in traces)
    less = [[b - a for a, b in zip(*rows, strict=True)] for rows in zip(forward, reverse, strict=True)]
    top = max((effect for side in (forward, reverse) for row in side for effect in row if effect == effect), default=0)
    most = max((abs(effect) for row in less for effect in row if effect == effect), default=0)
    window = traces[0].window
    one = scale("0", data(max(top, 0.0), points), "indirect effect; nothing or less is blank")
    two = scale(data(-most, points), data(most, points), "reverse less forward", two_sided=True)
    maps = [
        ("Forward", role_map("forward", kind, forward, top, window, one)),
        ("Reverse", role_map("reverse", kind, reverse, top, window, one)),
        ("Difference", role_map("difference", kind, less, most, window, two, two_sided=True)),
    ]
    return beside([f"<h4>{name}</h4>{drawn}" for name, drawn in maps], traces[0].n_layers)


def _sites(trace: CausalTrace, several: bool) -> str:
    rows = [
        (
            KIND_TITLES[site.kind],
            f"<b>{escape(visible(site.token))}</b> <small>{trace.role(site.position) or 'before the subject'}</small>",
            layers_of(site.kind, site.layer, trace.window, trace.n_layers),
            data(site.probability),
            f"<b>{data(site.indirect_effect, points)}</b>",
        )
        for site in trace.strongest(SHOWN_SITES)
    ]
    head = ("What", "Token", "Layer (window)", "Probability", "Indirect effect")
    return (f"<h3>{_line(trace)}</h3>" if several else "") + table(head, rows)


def _numbers(traces: Sequence[CausalTrace]) -> dict[str, Any]:
    """Return the traces as JSON values; large tables with fewer digits, which is then said."""
    digits = 6 if _cells(traces) > EXACT_CELLS else None
    whole = [trace.to_json() for trace in traces]
    if digits is not None:
        for record in whole:
            record["restored"] = {
                kind: [[round(p, digits) for p in row] for row in rows] for kind, rows in record["restored"].items()
            }
    return {"traces": whole, "digits": digits}
