"""Write a report as one HTML page: no scripts, nothing fetched, readable on a phone, on paper and in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from typing import Any, Unpack

from obverse.core import KINDS
from obverse.editing.edit import Edit
from obverse.report import _tables as tables
from obverse.report._format import Found, all_intervals, fact_line, percent
from obverse.report._page import Origin, embed, origin, page, section, write_page
from obverse.report._verdicts import SCALE, card, verdicts
from obverse.report.charts import bars, by_kind, by_probe
from obverse.verifying import Report

SHOWN_CASES = 50
"""Cases whose answers are embedded as JSON."""
SHOWN_ROWS = 60
"""Rows of a table, at most."""
SHOWN_TEXTS = 12
"""Continued prompts, at most."""
JSON_BYTES = 1_000_000
"""Size of the embedded JSON, at most."""


class Background(Origin, total=False):
    """What a page says besides the report itself; everything may be left out. The settings are by default the edit's.

    Attributes:
        edit: The edit; its fingerprint of the base and its details are shown.
        adapter: Folder the edit was saved to.
        top_before: Likeliest next tokens after the fact's prompt with their probabilities, before the edit.
        top_after: The same after the edit.
    """

    edit: Edit | None
    adapter: str | None
    top_before: Sequence[tuple[str, float]]
    top_after: Sequence[tuple[str, float]]


def render(report: Report, **background: Unpack[Background]) -> str:
    """Return a report as a page of HTML.

    Of many cases the page has all means, and the questions of the first ones.

    Args:
        report: The verification of an edit; at least one case.
        **background: What to say about how it was made, see `Background`.
    """
    found = all_intervals(report)
    one = report.cases[0] if len(report.cases) == 1 else None
    title = fact_line(one.case.fact) if one else f"{len(report.cases):,} facts changed"
    name = f"{one.case.fact.text} … {one.case.fact.target}" if one else title
    body = [
        f"<header><p class=kicker>A fact changed in a language model</p><h1>{title}</h1>"
        f"<p>Model {escape(report.model)}, method {escape(report.method)}. Every question below was put to the model "
        "before and after the edit.</p></header>",
        "" if one else tables.facts(report.cases, SHOWN_ROWS),
        _verdict_section(report, found),
        _chart_section(report, found),
        _top_section(report, background.get("top_before", ()), background.get("top_after", ())),
        _continuation_section(report),
        _probe_section(report),
        _protocol_section(report, found),
        _drift_section(report),
        _origin_section(report, background),
    ]
    return page(name, body, _embedded(report, found))


def write_report(path: str | Path, report: Report, **background: Unpack[Background]) -> Path:
    """Write a report as a page of HTML and return where; an older page is replaced as a whole."""
    return write_page(path, render(report, **background))


def _verdict_section(report: Report, found: Found) -> str:
    cards = "".join(card(verdict) for verdict in verdicts(report, found))
    return section("In short", "", f"<div class=cards>{cards}</div><p class=note>{SCALE}</p>")


def _chart_section(report: Report, found: Found) -> str:
    success = section(
        "Questions won",
        "Share of questions after which the expected answer is likelier than the alternative. Related facts should "
        "stay where they were; all others should move to the right.",
        by_kind(found, "success", "share of questions") if any(key[1] == "success" for key in found) else "",
    )
    first, *others = report.cases
    if others:
        intro = "Mean probability of the expected answer, per token."
        return success + section(
            "Probability of the answers",
            intro,
            by_kind(found, "probability", "mean probability of the expected answer"),
        )
    intro = "Probability of the expected answer (bold) to each question, per token."
    return success + section("Question by question", intro, by_probe(first, SHOWN_ROWS))


def _top_section(report: Report, before: Sequence[tuple[str, float]], after: Sequence[tuple[str, float]]) -> str:
    if not before and not after:
        return ""
    fact = report.cases[0].case.fact
    marks = [(fact.target, "new answer"), *([(fact.target_true, "old answer")] if fact.target_true else [])]
    sides = "".join(
        f"<section class=card><h3>{name}</h3>{bars(entries, marks)}</section>"
        for name, entries in (("Before", before), ("After", after))
    )
    intro = f"The likeliest next tokens after “{escape(fact.text)}”. A token is a word or a part of one."
    return section("What the model would say next", intro, f'<div class="cards wide">{sides}</div>')


def _continuation_section(report: Report) -> str:
    return section(
        "How it goes on writing",
        "Open prompts, continued by always taking the likeliest token.",
        tables.continuations(report.cases, SHOWN_TEXTS),
    )


def _probe_section(report: Report) -> str:
    return section(
        "Every question",
        "✓ means that the expected answer is likelier than the alternative (a tie counts as ✗), or, where there is no "
        "alternative, that the model writes it. “Written” means that the model's own text starts with the answer.",
        "".join(tables.probes(report.cases, kind, SHOWN_ROWS) for kind in KINDS),
    )


def _protocol_section(report: Report, found: Found) -> str:
    score = "" if report.score is None else (
        f"<p>ROME's score S, the harmonic mean of success on the prompt itself, in other words and on related facts: "
        f'<b><data value="{report.score!r}">{percent(report.score)}</data></b>.</p>'
    )  # fmt: skip
    return section(
        "The same answers, judged in seven ways",
        "The ways disagree: an answer can be likelier than its rival and still be nowhere near what the model writes. "
        "That is why all are shown. In brackets: 95 % interval over questions, where there are several.",
        score + tables.protocols(found),
    )


def _drift_section(report: Report) -> str:
    intro = "The model read text that has nothing to do with the fact, before and after. The less moved, the better."
    return section("What else moved", intro, tables.drift(report.drift)) if report.drift else ""


def _origin_section(report: Report, background: Background) -> str:
    edit = background.get("edit")
    settings = background.get("settings") or (edit.config if edit and isinstance(edit.config, dict) else {})
    facts = {"model": report.model, "method": report.method}
    if edit:
        facts["model's fingerprint"] = str(edit.base)
    if adapter := background.get("adapter"):
        facts["adapter"] = adapter
    details = [(f"Fact {i + 1}", detail) for i, detail in enumerate(edit.details[:SHOWN_ROWS])] if edit else []
    return origin(facts, {**background, "settings": settings}, details)


def _embedded(report: Report, found: Found) -> str:
    """Return the report as JSON that is safe inside a script element; of many cases, as many as fit."""
    count = min(len(report.cases), SHOWN_CASES)
    summary: dict[str, Any] = {}
    for (kind, protocol, after), value in found.items():
        summary.setdefault(kind, {}).setdefault(protocol, {})["after" if after else "before"] = asdict(value)
    while True:
        whole = replace(report, cases=report.cases[:count]).to_json()
        whole |= {"summary": summary, "score": report.score, "cases_left_out": len(report.cases) - count}
        text = embed(whole)
        if len(text.encode()) <= JSON_BYTES or count <= 1:
            return text
        count //= 2
