"""What a trained model answers: every question in both wordings, asked in each of the arm's ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from obverse.core import seed_for
from obverse.data.reversal import ReversalSet
from obverse.measuring.reversal import Blank, FillIn, LeftToRight, Query, evaluate_prompts, random_answers
from obverse.recipes.repro_reversal_plan import UNTRAINED, Way
from obverse.recipes.repro_reversal_results import WORDINGS, Cell, Measured
from obverse.recipes.repro_reversal_train import Work, prepare, train, trained

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


def train_and_measure(work: Work) -> Measured:
    """Train a trial's model and ask it everything; done in a process of its own."""
    people = prepare(work)
    seconds = train(work)
    lm = trained(work)
    arm, cells = work.scale.arm(work.trial.arm), dict[str, tuple[Cell, ...]]()
    for way in arm.queries:
        if work.trial.arm != UNTRAINED or way == "left-to-right":
            cells |= ask(lm, people, way, arm.objective, str(work.trial.seed))
    return Measured(work.trial, cells, seconds)


def ask(
    lm: LanguageModel, people: ReversalSet, way: Way, objective: dict[str, object], run: str
) -> dict[str, tuple[Cell, ...]]:
    """Ask a model every question, left to right or in the form of its objective.

    Args:
        lm: The model.
        people: The set it was trained on.
        way: How it is asked.
        objective: What it was trained by.
        run: Seed of the random answers.

    Returns:
        ``way/wordings/subtask`` → a cell a question.
    """
    query, found = query_of(lm, way, objective), dict[str, tuple[Cell, ...]]()
    for wordings in WORDINGS:
        for subtask, rows in people.subtasks(wordings).items():
            draws = np.random.default_rng(seed_for(int(run), "random answers", wordings, subtask))
            answers = evaluate_prompts(query, rows, negatives=random_answers(rows, draws), metrics=(), write=False)
            found[f"{way}/{wordings}/{subtask}"] = tuple(Cell.of(answer) for answer in answers)
    return found


def query_of(lm: LanguageModel, way: Way, objective: dict[str, object]) -> Query:
    """Return how a model is asked; of a mixture, the attention and masks are those of its first objective."""
    if way == "left-to-right":
        return LeftToRight(lm, as_document=True)
    parts = objective.get("objectives")
    first: dict[str, object] = parts[0] if isinstance(parts, list | tuple) and parts else objective
    if way == "fill":
        return FillIn(lm, flip=bool(first.get("flip", True)))
    return Blank(lm, attention="prefix" if first.get("attention") == "prefix" else "causal")
