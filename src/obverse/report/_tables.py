"""The tables of a page: every question, every protocol, drift, and texts before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from obverse.core import KINDS, JsonValue, Kind
from obverse.report._format import KIND_NAMES, Found, data, fact_line, interval, line, percent, plain, points, table
from obverse.verifying import PROTOCOLS, Answer, CaseReport, Drift

OPEN_ROWS = 12
"""Tables up to this length start unfolded."""

MEANINGS: dict[str, tuple[str, Callable[[float], str], str]] = {
    "success": ("Success", percent, "Share of questions whose expected answer is likelier than the alternative."),
    "magnitude": ("Magnitude", points, "By how much it is likelier: the difference of the two probabilities."),
    "probability": ("Probability", percent, "Of the expected answer, per token, whatever else is likely."),
    "rank": ("Rank", plain, "Place of the answer's first token among all tokens. 1 is best; here lower is better."),
    "token_accuracy": (
        "Token accuracy",
        percent,
        "Share of the answer's tokens that would be chosen, given those before.",
    ),
    "all_tokens": ("All tokens", percent, "Share of questions for which every token of the answer would be chosen."),
    "generated": ("Generated", percent, "Share of questions whose continuation, as written, starts with the answer."),
}
"""Protocol → its name, how its values are written, and what it means."""


def protocols(found: Found) -> str:
    """Return one table a protocol, with the mean, n and interval of each kind before and after."""
    parts = list[str]()
    for protocol in PROTOCOLS:
        name, style, meaning = MEANINGS.get(protocol, (protocol, plain, ""))
        rows = [
            (KIND_NAMES[kind], f"{new.n:,}", interval(old, style), f"<b>{interval(new, style)}</b>")
            for kind in KINDS
            if (old := found.get((kind, protocol, False))) and (new := found.get((kind, protocol, True)))
        ]
        if rows:
            inside = table(("Questions", "n", "Before", "After"), rows, "numbers")
            parts.append(f"<section class=card><h3>{name}</h3><p>{meaning}</p>{inside}</section>")
    return f'<div class="cards wide">{"".join(parts)}</div>'


def probes(cases: Sequence[CaseReport], kind: Kind, limit: int) -> str:
    """Return the questions of a kind as a foldable table, at most ``limit`` of them."""
    pairs = [(o, n) for c in cases for o, n in zip(c.before, c.after, strict=True) if o.kind == kind]
    if not pairs:
        return ""
    count = f"first {limit:,} of {len(pairs):,}" if len(pairs) > limit else f"{len(pairs):,}"
    rows = [_probe(old, new) for old, new in pairs[:limit]]
    head = ("Question", "Expected", "Probability", "Rank", "It writes", "Verdict")
    is_open = " open" if len(pairs) <= OPEN_ROWS else ""
    return (
        f"<details{is_open}><summary>{KIND_NAMES[kind]} <small>({count})</small></summary>"
        f"{table(head, rows, 'probes')}</details>"
    )


def _probe(old: Answer, new: Answer) -> tuple[str, ...]:
    probe = new.probe
    expected, alternative = f"<b>{escape(probe.expected)}</b>", ""
    if probe.rejected:
        expected += f"<br><small>rather than {escape(probe.rejected)}</small>"
        alternative = escape(probe.rejected)
    elif probe.contrast:
        expected += f"<br><small>rather than after “{escape(probe.contrast)}”</small>"
        alternative = "after the other question"
    chances = f"{data(old.probability)} → <b>{data(new.probability)}</b>"
    if old.alternative is not None and new.alternative is not None:
        chances += f"<br><small>{alternative}: {data(old.alternative)} → {data(new.alternative)}</small>"
    ranks = f"{data(old.rank, plain)} → <b>{data(new.rank, plain)}</b>"
    texts = f"<small>before</small> {line(old.generated)}<br><small>after</small> <b>{line(new.generated)}</b>"
    wins = f"{_tick(_wins(old))} → <b>{_tick(_wins(new))}</b>"
    wrote = f"<br><small>written: {_yes(old.exact)} → {_yes(new.exact)}</small>"
    return escape(probe.text), expected, chances, ranks, texts, wins + wrote


def _wins(answer: Answer) -> bool:
    return answer.exact if answer.success is None else answer.success


def _tick(good: bool) -> str:
    return "<span class=good>✓ yes</span>" if good else "<span class=bad>✗ no</span>"


def _yes(good: bool) -> str:
    return "yes" if good else "no"


def continuations(cases: Sequence[CaseReport], limit: int) -> str:
    """Return open prompts with what the model writes before and after, at most ``limit`` of them."""
    texts = [text for case in cases for text in case.continuations]
    cards = [
        f"<section class=card><h3>{line(t.prompt)} …</h3><div class=pair>"
        f"<p><small>Before</small><br>{line(t.before)}</p><p><small>After</small><br>{line(t.after)}</p></div></section>"
        for t in texts[:limit]
    ]
    note = f"<p>The first {limit:,} of {len(texts):,}.</p>" if len(texts) > limit else ""
    return f'{note}<div class="cards wide">{"".join(cards)}</div>' if cards else ""


def facts(cases: Sequence[CaseReport], limit: int) -> str:
    """Return the facts of a report with several as a foldable list."""
    items = "".join(f"<li>{fact_line(case.case.fact)}</li>" for case in cases[:limit])
    count = f"first {limit:,} of {len(cases):,}" if len(cases) > limit else f"{len(cases):,}"
    return f"<details><summary>The facts <small>({count})</small></summary><ul class=facts>{items}</ul></details>"


def drift(found: Drift) -> str:
    """Return what moved on neutral text, with what the measures mean."""
    rows = [
        ("Perplexity", data(found.perplexity_before, plain), f"<b>{data(found.perplexity_after, plain)}</b>",
         "How many words the model wavers between, on average; much higher means it reads worse."),
        ("Divergence (KL)", "0", f"<b>{data(found.kl, plain)}</b> nats a token",
         "How differently it predicts the next word; 0 means not at all."),
    ]  # fmt: skip
    rows += [
        (f"Weights in <code>{escape(name)}</code>", "0", f"<b>{data(change)}</b>",
         "Size of the change as a share of the size of the matrix (Frobenius norms).")
        for name, change in found.weight_change.items()
    ]  # fmt: skip
    return (
        table(("Measure", "Before", "After", "Meaning"), rows) + f"<p>n = {found.tokens:,} tokens of neutral text.</p>"
    )


def named(values: Mapping[str, JsonValue] | Mapping[str, str]) -> str:
    """Return names and values as a table; settings inside settings become ``outer.inner``."""
    rows = [(f"<code>{escape(key)}</code>", f"<span class=wrap>{escape(value)}</span>") for key, value in _flat(values)]
    return table(("Name", "Value"), rows, "named")


def _flat(values: Mapping[str, JsonValue] | Mapping[str, str], prefix: str = "") -> list[tuple[str, str]]:
    out = list[tuple[str, str]]()
    for key, value in values.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{prefix}{key}.")
        else:
            out.append((prefix + key, "none" if value is None else str(value)))
    return out
