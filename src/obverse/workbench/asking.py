"""The tab Ask: what does a model make of a prompt or a fact, forward and in reverse?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from obverse.core import Case, ConfigError
from obverse.recipes.measure import Asked, ask, ask_prompt
from obverse.workbench.desk import Desk
from obverse.workbench.form import FactForm
from obverse.workbench.jobs import Job

REVERSED = 3
"""Reverse questions whose likeliest answers are shown."""


@dataclass(frozen=True, slots=True)
class AskedBoth:
    """What a model answers in both directions.

    Attributes:
        model: Name of the model.
        forward: The prompt.
        reverse: Reverse questions; none for a bare prompt, or a fact without such questions.
    """

    model: str
    forward: Asked
    reverse: tuple[Asked, ...] = ()


def ask_models(desk: Desk, job: Job[list[AskedBoth]], models: Sequence[str], form: FactForm, k: int) -> list[AskedBoth]:
    """Ask some models the same. What is known is shown meanwhile: likeliest answers first, then probe by probe.

    Raises:
        ObverseError: If what is asked is incomplete, or a model is unknown.
    """
    if not models:
        raise ConfigError("No model is chosen.", "Choose at least one.")
    case = form.case() if form.target.strip() else None
    text = case.fact.text if case else form.text() if form.bare else form.statement().text
    found: list[AskedBoth] = []
    for name in models:
        found.append(_likeliest(desk, name, case, text, k))
        job.show(list(found))
    if case is None:
        return found
    for i, one in enumerate(found):
        found[i] = replace(one, forward=ask(desk.model(one.model), case, k))
        job.show(list(found))
    return found


def _likeliest(desk: Desk, name: str, case: Case | None, text: str, k: int) -> AskedBoth:
    """Return the likeliest answers, forward and in reverse, before any probe is asked."""
    lm = desk.model(name)
    questions = [probe.text for probe in case.probes.get("reverse", ())][:REVERSED] if case else []
    forward = replace(ask_prompt(lm, text, k), case=case)
    return AskedBoth(name, forward, tuple(ask_prompt(lm, question, k) for question in questions))
