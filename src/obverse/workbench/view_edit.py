"""What the tab Edit & verify shows: plan, result, stack."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from obverse.core import KINDS
from obverse.recipes.edit_result import EditResult
from obverse.recipes.plan import Plan
from obverse.recipes.stack import CrossTalk
from obverse.report import _tables as tables
from obverse.report._format import all_intervals, fact_line, percent
from obverse.report._verdicts import SCALE, card, verdicts
from obverse.report.charts import bars
from obverse.verifying import Report
from obverse.workbench.fragments import button, framed, sheet
from obverse.workbench.stack import Layer, Stack

ROWS = 40
"""Questions shown of a kind."""


def plan_page(plan: Plan) -> str:
    """Return what is being done, and how long the edit takes at most where nothing else runs; its check takes more."""
    cost = f" The edit takes about {plan.cost.seconds:.0f} s at most; then it is verified." if plan.cost else ""
    return framed(f"<p class=note>{escape(plan_line(plan) + cost)}</p>")


def plan_line(plan: Plan) -> str:
    """Return what is done in a line, plain text."""
    layers = ", ".join(map(str, plan.layers))
    source = f" ({plan.layer_from})" if plan.layer_from else ""
    return f"{plan.method} at layer {layers}{source}; {plan.contexts} contexts; second moments {plan.moments}."


def layer_page(layer: Layer) -> str:
    """Return what an edit did: in short, likeliest tokens before and after, and every question."""
    result = layer.result
    return framed(
        f"<h2>{fact_line(layer.edit.facts[0])}</h2><p class=note>{escape(plan_line(result.plan))} "
        f"Edited and verified in {sum(result.seconds.values()):.1f} s.</p>",
        _tops(result),
        _report(result.report) if result.report else "",
    )


def report_page(report: Report, cross_talk: Sequence[CrossTalk]) -> str:
    """Return the verification of a whole stack."""
    facts = f"{len(report.cases)} fact{'s' if len(report.cases) > 1 else ''}"
    talk = [
        (escape(one.asked), escape(one.written), percent(one.share), f"<code>{escape(one.module)}</code>")
        for one in cross_talk
    ]
    head = ("Thinking of", "also writes", "share", "in")
    return framed(
        f"<h2>The whole stack: {facts}</h2>",
        _report(report),
        sheet("Predicted cross-talk", head, talk) if talk else "",
    )


def _tops(result: EditResult) -> str:
    if not result.tops or result.edit is None:
        return ""
    fact, top = result.edit.facts[0], result.tops[0]
    marks = [(fact.target, "new answer"), *([(fact.target_true, "old answer")] if fact.target_true else [])]
    sides = "".join(
        f"<section class=card><h3>{name}: {escape(top.prompt)} …</h3>"
        f"{bars([(token.text, token.probability) for token in entries], marks)}</section>"
        for name, entries in (("Before", top.before), ("After", top.after))
    )
    return f'<div class="cards wide">{sides}</div>'


def _report(report: Report) -> str:
    cards = "".join(card(verdict) for verdict in verdicts(report, all_intervals(report)))
    questions = "".join(tables.probes(report.cases, kind, ROWS) for kind in KINDS)
    texts = tables.continuations(report.cases, ROWS)
    drift = f"<details><summary>What else moved</summary>{tables.drift(report.drift)}</details>" if report.drift else ""
    return (
        f"<div class=cards>{cards}</div><p class=note>{SCALE}</p>{questions}"
        f"<section><h3>How it goes on writing</h3>{texts}</section>{drift}"
    )


def stack_page(stack: Stack) -> str:
    """Return the edits of a visitor with what can be done to each, the one on top first."""
    if not len(stack):
        return framed("<p class=note>Your stack is empty. Only you see it; the model itself stays as it was.</p>")
    layers = list(stack)
    items = "".join(_layer(layer, place, len(layers)) for place, layer in reversed(list(enumerate(layers))))
    on = len(stack.on)
    return framed(
        f"<ol class=stack reversed>{items}</ol><p class=note>{on} of {len(layers)} switched on, applied from the "
        "bottom up. Only you see them; the model itself stays as it was.</p>"
    )


def _layer(layer: Layer, place: int, count: int) -> str:
    name, number = layer.title, layer.number
    switch = "Switch off" if layer.on else "Switch on"
    buttons = [
        button("switch", switch, f"{switch}: {name}", number=number),
        button("up", "▲", f"Move up: {name}", number=number) if place < count - 1 else "",
        button("down", "▼", f"Move down: {name}", number=number) if place else "",
        button("show", "Show", f"Show what it did: {name}", number=number),
        button("zip", "Download", f"Download as a PEFT adapter folder: {name}", number=number),
        button("keep", "Keep as a run", f"Keep among the runs: {name}", number=number),
        button("undo", "Undo", f"Undo: {name}", number=number),
    ]
    layers = ", ".join(map(str, layer.result.plan.layers))
    return (
        f"<li class={'on' if layer.on else 'off'}><div><b>{fact_line(layer.edit.facts[0])}</b><br>"
        f"<small>{escape(layer.edit.method)}, layer {layers}</small></div>"
        f"<div class=actions>{''.join(buttons)}</div></li>"
    )
