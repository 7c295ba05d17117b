"""What a trained model answers: every question in both wordings, asked in each of the arm's ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obverse.data.reversal import ReversalSet
from obverse.measuring.reversal import Blank, FillIn, LeftToRight, Query
from obverse.recipes.repro_reversal_plan import LEFT, UNTRAINED, ReversalScale, Way
from obverse.recipes.repro_reversal_results import WORDINGS, Cell, Measured
from obverse.recipes.repro_reversal_train import prepare, train, trained
from obverse.recipes.repro_reversal_work import Work, scored

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


def train_and_measure(work: Work[ReversalScale]) -> Measured:
    """Train a trial's model and ask it everything; done in a process of its own."""
    people = prepare(work)
    seconds = train(work)
    lm = trained(work)
    arm, cells = work.settings.arm(work.trial.arm), dict[str, tuple[Cell, ...]]()
    for way in arm.queries:
        if work.trial.arm != UNTRAINED or way == LEFT:
            cells |= ask(lm, people, way, arm.objective, work.trial.seed)
    return Measured(work.trial, cells, seconds)


def ask(
    lm: LanguageModel, people: ReversalSet, way: Way, objective: dict[str, object], seed: int
) -> dict[str, tuple[Cell, ...]]:
    """Ask a model every question, left to right or in the form of its objective.

    Args:
        lm: The model.
        people: The set it was trained on.
        way: How it is asked.
        objective: What it was trained by.
        seed: Seed of the random answers.

    Returns:
        ``way/wordings/subtask`` → a cell a question.
    """
    query, found = query_of(lm, way, objective), dict[str, tuple[Cell, ...]]()
    for wordings in WORDINGS:
        for subtask, rows in people.subtasks(wordings).items():
            found[f"{way}/{wordings}/{subtask}"] = scored(query, rows, seed, wordings, subtask)
    return found


def query_of(lm: LanguageModel, way: Way, objective: dict[str, object]) -> Query:
    """Return how a model is asked; of a mixture, the attention and masks are those of its first objective."""
    if way == LEFT:
        return LeftToRight(lm, as_document=True)
    parts = objective.get("objectives")
    first: dict[str, object] = parts[0] if isinstance(parts, list | tuple) and parts else objective
    if way == "fill":
        return FillIn(lm, flip=bool(first.get("flip", True)))
    return Blank(lm, attention="prefix" if first.get("attention") == "prefix" else "causal")
