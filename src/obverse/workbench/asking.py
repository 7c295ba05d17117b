"""The tab Ask: what does a model make of a prompt or a fact, forward and in reverse?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from obverse.core import ConfigError
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
    """Ask some models the same; what the first ones say is shown while the others are asked.

    Raises:
        ObverseError: If what is asked is incomplete, or a model is unknown.
    """
    if not models:
        raise ConfigError("No model is chosen.", "Choose at least one.")
    form.text()
    found: list[AskedBoth] = []
    for name in models:
        found.append(_ask(desk, name, form, k))
        job.show(list(found))
    return found


def _ask(desk: Desk, name: str, form: FactForm, k: int) -> AskedBoth:
    if form.bare or not form.target.strip():
        text = form.statement().text if form.subject.strip() else form.text()
        return AskedBoth(name, ask_prompt(desk.model(name), text, k))
    case = form.case()
    lm = desk.model(name)
    questions = [probe.text for probe in case.probes.get("reverse", ())][:REVERSED]
    return AskedBoth(name, ask(lm, case, k), tuple(ask_prompt(lm, text, k) for text in questions))
