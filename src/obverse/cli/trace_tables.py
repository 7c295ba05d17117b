"""What ``obverse trace`` prints: a summary, the strongest sites, and a heat map in letters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from obverse.cli.tables import duration, grid, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from obverse.core import Interval
    from obverse.locating.trace import CausalTrace, TraceKind
    from obverse.locating.tracing import Skipped
    from obverse.recipes.followed import Followed
    from obverse.recipes.trace_dataset import DatasetResult
    from obverse.recipes.trace_run import TraceResult

SHADES = " ·░▒▓█"
"""From nothing to the largest effect of a map."""

LABEL = 16
"""Cells for a token beside the map."""

MOST_ROWS = 48
"""Longer prompts are not drawn in letters."""

KINDS: dict[TraceKind, str] = {
    "hidden": "hidden state",
    "mlp": "MLPs",
    "attn": "attention",
    "severed-mlp": "hidden state, MLPs severed",
    "severed-attn": "hidden state, attention severed",
}


def print_traced(console: Console, result: TraceResult, top: int) -> None:
    """Print what each trace found, what was skipped, time, and where everything is."""
    if result.traces:
        first = next(iter(result.traces.values()))
        console.print(grid([("model", f"{first.model} ({first.fingerprint})"), ("noise", noise_in_words(first))]))
    for name, trace in result.traces.items():
        print_trace(console, trace, top, result.followed.get(name))
    if result.reverse:
        console.print("\n[bold]In reverse[/]", end="")
        print_trace(console, result.reverse, top, result.reverse_followed)
    print_skipped(console, result.skipped)
    print_end(console, result.seconds, result.folder)


def print_end(console: Console, seconds: Mapping[str, float], folder: Path | None) -> None:
    """Print what took how long, and where the files are."""
    steps = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in seconds.items())
    console.print(f"\nTime: {steps}." if steps else "")
    if folder:
        console.print(f"Folder: {folder}", markup=False)
        console.print(f"Page: {folder / 'report.html'}", markup=False)


def print_trace(console: Console, trace: CausalTrace, top: int, followed: Followed | None = None) -> None:
    """Print one trace: the answer, the strongest sites, and the map of the hidden states if it fits."""
    from obverse.recipes.followed import share

    console.print(f"\n[bold]{escape(trace.fact.text)}[/] … {escape(shown(trace.answer))}")
    subject = f"{trace.fact.subject} (token{_numbers(trace.subject)} of {len(trace.tokens)})"
    meaning = "what a restored state can give back"
    if trace.total_effect <= 0:
        meaning = "corruption takes nothing away, so this trace cannot say where the answer comes from"
    rows = [
        ("subject", subject),
        *([("followed", str(followed))] if followed else []),
        ("probability", f"{share(trace.clean)} clean, {share(trace.corrupted)} with a corrupted subject"),
        ("total effect", f"{share(trace.total_effect)} ({meaning})"),
    ]
    console.print(grid(rows))
    sites = table("Strongest sites", "token", "role", "layer", "probability", "indirect effect")
    for effect in trace.strongest(top):
        sites.add_row(
            KINDS[effect.kind],
            escape(shown(effect.token)),
            trace.role(effect.position) or "before the subject",
            _layers(effect.kind, effect.layer, trace.window, trace.n_layers),
            share(effect.probability),
            f"{'+' if effect.indirect_effect >= 0 else ''}{share(effect.indirect_effect)}",
        )
    console.print(sites)
    kind = trace.kinds[0]
    for line in text_map(trace, kind, console.width):
        console.print(Text(line), no_wrap=True, overflow="crop")


def print_averages(console: Console, result: DatasetResult) -> None:
    """Print average effects over a data set, where they peak, what was skipped, and where everything is."""
    from obverse.locating.trace import ROLES

    found = result.averages
    gone_on = f", {result.resumed:,} of them from an earlier start" if result.resumed else ""
    skipped = "; ".join(f"{count:,} {reason}" for reason, count in result.skipped.items())
    rows = [
        ("model", f"{found.model} ({found.fingerprint})"),
        ("facts", f"{result.traced:,} traced{f', skipped: {skipped}' if skipped else ''}{gone_on}"),
        ("noise", f"{found.noise}, level {found.level:.4g}"),
        ("clean", f"{_interval(found.clean)} probability of the answer"),
        ("corrupted", _interval(found.corrupted)),
        ("total effect", f"{_interval(found.total_effect)} (ATE: clean less corrupted)"),
    ]
    console.print(grid(rows))
    peaks = table("Average indirect effect", "role", "facts", "peak layer", "AIE there", "95 % interval")
    for kind in found.kinds:
        for role in ROLES:
            peak = found.peak(kind, role)
            if peak is not None:
                effect, layers = peak.effect, _layers(kind, peak.layer, found.window, found.n_layers)
                peaks.add_row(KINDS[kind], role, f"{effect.n:,}", layers, f"{effect.mean:+.1%}", _range(effect))
    console.print()
    console.print(peaks)
    for kind in found.kinds:
        best = _interval(found.best[kind])
        console.print(f"[dim]Mean of each fact's own largest effect, {KINDS[kind]}: {best}[/]")
    print_end(console, result.seconds, result.folder)


def text_map(trace: CausalTrace, kind: TraceKind, width: int) -> list[str]:
    """Return the indirect effects as lines of shades, tokens by layers; none if they do not fit.

    Args:
        trace: The trace.
        kind: Which of its tables.
        width: Cells of a line.
    """
    space = width - LABEL - 2
    if len(trace.tokens) > MOST_ROWS or space < trace.n_layers:
        return []
    cell = 2 if space >= 2 * trace.n_layers else 1
    effects = trace.indirect_effect(kind).clamp_min(0)
    largest = float(effects.max())
    from obverse.recipes.followed import share

    scale = (effects / largest if largest > 0 else effects) * (len(SHADES) - 1)
    lines = [f"{KINDS[kind]}: indirect effect, blank 0 to {SHADES[-1]} {share(largest)}; * marks the subject"]
    for position, (token, levels) in enumerate(zip(trace.tokens, scale.round().int().tolist(), strict=True)):
        mark = "*" if position in trace.subject else " "
        name = shown(token)
        label = name if cell_len(name) < LABEL else f"{set_cell_size(name, LABEL - 2)}…"
        label = " " * (LABEL - 1 - cell_len(label)) + label + mark
        lines.append(f"{label}│{''.join(SHADES[level] * cell for level in levels)}│")
    numbers = "".join(f"{layer:<{5 * cell}}" for layer in range(0, trace.n_layers, 5))
    lines.append(f"{'layer':>{LABEL - 1}}  {numbers[: trace.n_layers * cell + 2].rstrip()}")
    return lines


def shown(token: str) -> str:
    """Return a token so that it can be seen: signs for line breaks, a mark for bare space."""
    from obverse.core.plotting import visible

    return visible(token)


def print_skipped(console: Console, skipped: Sequence[Skipped]) -> None:
    """Print how many prompts were skipped for which reason, and the first of each."""
    for reason, count in Counter(one.reason for one in skipped).most_common():
        first = next(one for one in skipped if one.reason == reason)
        what = "prompt" if count == 1 else "prompts"
        console.print(f"Skipped {count} {what}, {reason}: e.g. {first.fact.text!r}: {first.detail}", markup=False)


def noise_in_words(trace: CausalTrace) -> str:
    """Return a trace's noise with its numbers."""
    rule = trace.noise.strip()
    head, number = (rule[0], rule[1:]) if rule[:1].isalpha() else ("", rule)
    words = {
        "": f"Gaussian of standard deviation {trace.level:.4g}",
        "s": f"Gaussian of standard deviation {trace.level:.4g}",
        "u": f"uniform within ±{trace.level:.4g}",
        "m": "Gaussian with the mean and covariance of the embeddings of plain text",
        "t": f"Student's t, {number} degrees of freedom, with the mean and covariance of the embeddings of plain text",
    }[head]
    factor = float(number or 1) if head == "s" else 0.0
    sigma = f" = {factor:g} sigma, sigma {trace.level / factor:.4g}" if factor else ""
    place = "in place of the embeddings" if trace.replace else "added to the embeddings"
    return f"{rule}: {words}{sigma}; {place}; {trace.samples} sample{_s(trace.samples)}, seed {trace.seed}"


def _layers(kind: TraceKind, layer: int, window: int, n_layers: int) -> str:
    """Return a layer, with the window around it where that is what was restored."""
    from obverse.locating.trace import window_of

    layers = window_of(layer, window, n_layers)
    if kind not in ("mlp", "attn") or len(layers) == 1:
        return str(layer)
    return f"{layer} ({layers.start}-{layers.stop - 1})"


def _interval(found: Interval) -> str:
    return f"{found.mean:.1%}{f' ({_range(found)})' if found.n > 1 else ''}"


def _range(found: Interval) -> str:
    return f"{found.low:.1%} to {found.high:.1%}" if found.n > 1 else "-"


def _numbers(tokens: range) -> str:
    """Return token numbers from 1, with the plural's s before them if it is due."""
    return f" {tokens.start + 1}" if len(tokens) == 1 else f"s {tokens.start + 1}-{tokens.stop}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
