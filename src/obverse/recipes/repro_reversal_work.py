"""What every claim about the curse that trains models shares: where a model's files are, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from obverse.core import seed_for
from obverse.recipes.repro_reversal_plan import Trial
from obverse.recipes.repro_reversal_results import Cell

if TYPE_CHECKING:
    from obverse.data.reversal import Prompt
    from obverse.measuring.reversal import Query

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Work(Generic[Settings]):
    """A trial and where its files are; goes to a process of its own.

    Attributes:
        settings: Those of the claim.
        folder: Of the claim, or of the whole reproduction.
        trial: Which model.
    """

    settings: Settings
    folder: Path
    trial: Trial

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "models" / self.trial.id

    @property
    def set(self) -> Path:
        """Folder of the people, who are the same in all trials of a seed."""
        return self.folder / "sets" / f"seed{self.trial.seed}"


def scored(query: Query, rows: Sequence[Prompt], seed: int, *names: str) -> tuple[Cell, ...]:
    """Score right and random answers to questions; the random ones are the same for all models of a seed.

    Args:
        query: How they are asked.
        rows: The questions.
        seed: Of the trial.
        names: Which questions they are, so that others have other draws.

    Returns:
        A cell a question.
    """
    from obverse.measuring.reversal import evaluate_prompts, random_answers

    draws = np.random.default_rng(seed_for(seed, "random answers", *names))
    answers = evaluate_prompts(query, rows, negatives=random_answers(rows, draws), metrics=(), write=False)
    return tuple(Cell.of(answer) for answer in answers)
