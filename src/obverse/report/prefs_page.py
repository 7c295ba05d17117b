"""A page that compares what models prefer to say: metrics by scenario, divergences, and samples with their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Unpack

from obverse.core import Interval
from obverse.measuring.preferences import METRICS, Preferences
from obverse.measuring.reference_kl import Divergence
from obverse.measuring.scenarios import Scenario
from obverse.report._format import data, interval, line, percent, plain, table
from obverse.report._page import Origin, embed, origin, page, section, write_page
from obverse.report.charts import means

SHARES = ("hits", "ended", "compiles", "distinct_1", "distinct_2", "self_bleu_5")
"""Metrics that are written in percent."""
_SCORES = ("score", "hits", "score_max@25", "score_p95", "score_max", "compiles", "failures")
_TEXTS = ("length", "tokens", "ended", "distinct_1", "distinct_2", "entropy_1", "entropy_2", "self_bleu_5")
SHOWN = 20
"""Samples shown of a model in a scenario: the worst, and as many of the first."""
_NONE = "\N{EN DASH}"
LETTERS = 600
"""Of each sample."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A model, or a file of samples, among those that are compared.

    Attributes:
        label: What it is called.
        preferences: Name of a scenario → what came of it.
        divergences: How far it is from the reference; none if there was none.
    """

    label: str
    preferences: Mapping[str, Preferences]
    divergences: tuple[Divergence, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return all but the samples as JSON values."""
        return {
            "label": self.label,
            "preferences": {name: found.to_json() for name, found in self.preferences.items()},
            "divergences": [found.to_json() for found in self.divergences],
        }


class Background(Origin, total=False):
    """What a page says besides the numbers.

    Attributes:
        scorer: Name of the scorer.
        unit: What a score counts.
    """

    scorer: str
    unit: str


def render_prefs(compared: Sequence[Compared], **background: Unpack[Background]) -> str:
    """Return the page as HTML.

    Args:
        compared: What is compared; at least one.
        **background: The scorer, and how the page was made.
    """
    scorer, unit = background.get("scorer", ""), background.get("unit", "")
    names = list(dict.fromkeys(name for one in compared for name in one.preferences))
    title = compared[0].label if len(compared) == 1 else f"{len(compared)} models compared"
    whose = "it" if len(compared) == 1 else "each"
    body = [
        f"<header><p class=kicker>What a model prefers to say</p><h1>{escape(title)}</h1><p>Texts were drawn from "
        f"{whose} and scored by {escape(scorer)} ({escape(unit)}). A score is misalignment: higher is worse.</p>"
        "</header>",
        *(_scenario(name, compared, unit) for name in names),
        _divergences(compared),
        *(_samples(name, compared) for name in names),
        section("What the numbers say", "", _meanings()),
        origin({"scorer": scorer}, background),
    ]
    return page(f"Preferences: {title}", body, embed([one.to_json() for one in compared]))


def write_prefs_page(path: str | Path, compared: Sequence[Compared], **background: Unpack[Background]) -> Path:
    """Write `render_prefs` and return where; an older page is replaced as a whole."""
    return write_page(path, render_prefs(compared, **background))


def _scenario(name: str, compared: Sequence[Compared], unit: str) -> str:
    having = [(one.label, one.preferences[name]) for one in compared if name in one.preferences]
    numbers = sorted({len(found.samples) for _, found in having})
    few = any(found.few for _, found in having)
    asked = max((found.scenario for _, found in having), key=lambda scenario: len(scenario.prefix))
    intro = (
        f"{' or '.join(f'{n:,}' for n in numbers)} texts each, {_drawn(asked)}. A hit is a score above "
        f"{asked.hit_threshold:g}. In brackets: 95 % interval over texts."
    ) + (" Fewer than 25 texts were scored, so max@25 is only their maximum." if few else "")
    scores = [(label, score) for label, found in having if isinstance(score := found.metrics.get("score"), Interval)]
    chart = means(scores, f"mean score of a text{f' ({unit})' if unit else ''}; lines: 95 % interval") if scores else ""
    return section(f"Scenario “{escape(name)}”", intro, chart + _metrics(having, _SCORES) + _metrics(having, _TEXTS))


def _drawn(scenario: Scenario) -> str:
    """Say in a line how texts were drawn."""
    parts = [
        "after prompts" if scenario.prompts else "without a prompt",
        f"after {escape(scenario.prefix)} (where the model has it)" if scenario.prefix else "",
        f"temperature {scenario.temperature:g}, top-p {scenario.top_p:g}",
        f"top-k {scenario.top_k}" if scenario.top_k else "",
        f"{scenario.max_length} tokens at most",
    ]
    return ", ".join(part for part in parts if part)


def _metrics(having: Sequence[tuple[str, Preferences]], names: Sequence[str]) -> str:
    shown = [name for name in names if any(name in found.metrics for _, found in having)]
    head = ("Model", *(METRICS[name].label for name in shown))
    rows = [(escape(label), *(_cell(name, found.metrics.get(name)) for name in shown)) for label, found in having]
    return f"<div class=scroll>{table(head, rows, 'numbers sheet')}</div>"


def _cell(name: str, value: Interval | float | None) -> str:
    style = percent if name in SHARES else plain
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _NONE
    return interval(value, style) if isinstance(value, Interval) else data(value, style)


def _divergences(compared: Sequence[Compared]) -> str:
    rows = [
        (
            escape(one.label),
            f"{found.direction}, {'token by token' if found.by_ids else 'as text'}",
            interval(found.nats, plain),
            interval(found.per_token, plain),
            f"{found.nats.n:,}",
        )
        for one in compared
        for found in one.divergences
    ]
    if not rows:
        return ""
    name = next(found.name for one in compared for found in one.divergences)
    intro = (
        f"KL divergence between each model and {escape(name)}. Forward: on texts of the reference, what the model has "
        "unlearned. Reverse: on texts of the model. 0 means no difference."
    )
    head = ("Model", "Direction", "Nats a text", "Nats a token", "Texts")
    inside = f"<div class=scroll>{table(head, rows, 'numbers sheet')}</div>"
    return section("Distance from the reference", intro, inside)


def _samples(name: str, compared: Sequence[Compared]) -> str:
    parts = list[str]()
    for one in compared:
        if (found := one.preferences.get(name)) is None:
            continue
        worst = [_row(sample.prompt, sample.text, score) for sample, score in found.worst(SHOWN)]
        pairs = list(zip(found.samples, found.scores, strict=True))[:SHOWN]
        first = [_row(sample.prompt, sample.text, score) for sample, score in pairs]
        parts += [_folded(f"{one.label}: the worst", worst), _folded(f"{one.label}: the first", first)]
    return section(f"Samples of “{escape(name)}”", "", "".join(parts))


def _row(prompt: str, text: str, score: float) -> tuple[str, str]:
    shown = text if len(text) <= LETTERS else text[:LETTERS] + "…"
    before = f"<small>{line(prompt)}</small> " if prompt else ""
    return (_NONE if math.isnan(score) else data(score, plain)), before + line(shown)


def _folded(title: str, rows: Sequence[tuple[str, str]]) -> str:
    return f"<details><summary>{escape(title)}</summary>{table(('Score', 'Text'), rows)}</details>" if rows else ""


def _meanings() -> str:
    ways = {"up": "higher is better", "down": "lower is better", None: ""}
    rows = [(one.label, f"{one.meaning}", ways[one.better]) for one in METRICS.values()]
    return table(("Name", "Meaning", "Better"), rows)
