"""Draw docs/images/overview.svg: one fact measured, located, edited and verified, with what gemma-3-270m says.

``python scripts/make_overview.py`` takes two minutes on one core.
"""

from __future__ import annotations

import re
import textwrap
from html import escape
from pathlib import Path

import obverse as ob
from obverse.core import Kind
from obverse.core.plotting import PALETTE, visible
from obverse.recipes.measure import Asked

OUT = Path(__file__).parents[1] / "docs" / "images" / "overview.svg"
BLUE, ORANGE, GREY = PALETTE[0], PALETTE[1], "#c9ced6"
CARD, GAP, HEIGHT = 232, 26, 262
ROWS: dict[Kind, str] = {
    "efficacy": "the prompt",
    "generalization": "other words",
    "specificity": "neighbours",
    "reverse": "the reverse",
}
STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#1f2933}"
    ".h{font-size:17px;font-weight:600}.s{font-size:11px;fill:#52606d}.e{text-anchor:end}.m{text-anchor:middle}"
)


def main() -> None:
    """Ask, trace, edit and verify, and write the figure."""
    lm = ob.LanguageModel.load()
    fact = ob.Fact("Space Needle", "The {} is located in the city of", target="Paris", target_true="Seattle")
    before = ob.Fact(fact.subject, fact.prompt, target="Seattle")
    trace = ob.trace(lm, fact.text, fact.subject)
    edit = ob.edit(lm, fact, method="rome")
    cards = [asked(ob.ask(lm, before)), located(trace), edited(edit), verified(ob.verify(lm, edit))]
    width = 4 * CARD + 3 * GAP + 24
    drawn = "".join(
        f'<g transform="translate({12 + number * (CARD + GAP)},12)"><rect width="{CARD}" height="{HEIGHT}" rx="8" '
        f'fill="#fff" stroke="{GREY}"/>{card}</g>'
        for number, card in enumerate(cards)
    )
    OUT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + 66}" role="img" '
        f'aria-label="Measure, locate, edit, verify, and ask again"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{HEIGHT + 66}" rx="10" fill="#f5f7fa"/>{arrows(width)}{drawn}</svg>\n',
        encoding="utf-8",
    )


def arrows(width: int) -> str:
    """Return the arrows from card to card, and the one from the last back to the first."""
    starts = [12 + CARD + number * (CARD + GAP) for number in range(3)]
    paths = [f"M{x + 3} {12 + HEIGHT / 2}h{GAP - 9}" for x in starts]
    low, left, right = HEIGHT + 38, 12 + CARD / 2, width - 12 - CARD / 2
    paths.append(f"M{right} {HEIGHT + 14}V{low}H{left}V{HEIGHT + 20}")
    note = "or train it: next token, both sides, reversed text, preferences; and ask again"
    return (
        '<defs><marker id="a" viewBox="0 0 6 6" refX="4" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L6 3L0 6z" fill="#52606d"/></marker></defs>'
        + "".join(
            f'<path d="{d}" fill="none" stroke="#52606d" stroke-width="1.6" marker-end="url(#a)"/>' for d in paths
        )
        + f'<rect x="{width / 2 - 260}" y="{low - 12}" width="520" height="24" fill="#f5f7fa"/>'
        + f'<text class="m" x="{width / 2}" y="{low + 4}">{note}</text>'
    )


def asked(found: Asked) -> str:
    """Return the card of both directions."""
    parts = [heading("Measure", "does it know, and from the other side?")]
    for top, kind in ((84, "efficacy"), (174, "reverse")):
        answer = next(answer for answer in found.answers if answer.kind == kind)
        lines = textwrap.wrap(f"{answer.probe.text} …", 36)
        parts += [line(14, top + 15 * row, text, "s") for row, text in enumerate(lines)]
        y = top + 15 * len(lines) - 4
        parts.append(bar(14, y, 200 * answer.probability, BLUE))
        parts.append(line(22 + 200 * answer.probability, y + 11, f"{answer.probe.expected} {answer.probability:.0%}"))
    return "".join(parts)


def located(trace: ob.CausalTrace) -> str:
    """Return the card of the trace's hidden states, tokens by layers."""
    effect = (trace.indirect_effect("hidden") / trace.total_effect).clamp(0, 1)
    parts = [heading("Locate", "which states bring the answer back?")]
    step = 150 / trace.n_layers
    for row, (token, shares) in enumerate(zip(trace.tokens, effect.tolist(), strict=True)):
        y = 72 + 15 * row
        parts.append(line(64, y + 11, visible(token) + "*" * (row in trace.subject), "s e"))
        parts += [
            f'<rect x="{70 + step * layer:.1f}" y="{y}" width="{step - 0.8:.1f}" height="14" fill="{BLUE}" '
            f'fill-opacity="{0.05 + 0.95 * share:.2f}"/>'
            for layer, share in enumerate(shares)
        ]
    return "".join([*parts, line(145, 242, f"layer 0 to {trace.n_layers - 1}", "s m")])


def edited(edit: ob.Edit) -> str:
    """Return the card of what was changed."""
    (name,) = edit.deltas
    layer = re.search(r"\d+", name)
    fact = edit.facts[0]
    parts = [heading("Edit", "write the fact, without training")]
    parts += [line(14, 84 + 15 * row, text, "s") for row, text in enumerate(textwrap.wrap(f"{fact.text} …", 36))]
    parts.append(line(14, 120, f"{fact.target_true} → {fact.target}"))
    parts.append('<text x="14" y="156">Ŵ = W + Λ (C⁻¹ k)ᵀ</text>')
    parts.append(line(14, 176, f"one matrix of layer {layer[0] if layer else '?'}, rank one", "s"))
    parts.append(line(14, 212, "a PEFT adapter folder:"))
    return "".join([*parts, line(14, 232, "load, stack, serve, merge, undo", "s")])


def verified(report: ob.Report) -> str:
    """Return the card of success before and after, by kind of question."""
    parts = [heading("Verify", "success by question, before → after")]
    for row, (kind, label) in enumerate(ROWS.items()):
        y = 76 + 38 * row
        shares = [report.interval(kind, "success", after=after) for after in (False, True)]
        old, new = (share.mean if share else 0.0 for share in shares)
        parts.append(line(88, y + 16, label, "e"))
        parts += [bar(96, y, 58 * old, GREY), bar(96, y + 13, 58 * new, ORANGE)]
        parts.append(line(100 + 58 * max(old, new), y + 17, f"{old:.0%} → {new:.0%}", "s"))
    drift = report.drift
    moved = "" if drift is None else f"unrelated text: KL {drift.kl:.4f} nats a token"
    return "".join([*parts, line(14, 242, moved, "s")])


def heading(title: str, question: str) -> str:
    """Return a card's title and what it asks."""
    return line(14, 30, title, "h") + line(14, 50, question, "s")


def line(x: float, y: float, text: str, css: str = "") -> str:
    """Return a line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{css}">{escape(text)}</text>'


def bar(x: float, y: float, width: float, colour: str) -> str:
    """Return a bar, at least a pixel wide, so that nothing is seen as nothing."""
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{max(1.0, width):.1f}" height="12" fill="{colour}"/>'


if __name__ == "__main__":
    main()
