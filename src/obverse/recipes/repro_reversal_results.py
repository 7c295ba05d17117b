"""What was measured on each trained model, and how persons of several seeds come together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from obverse.core import Interval
from obverse.data.reversal import Prompt, Wordings
from obverse.measuring.exact_tests import share_interval
from obverse.measuring.reversal import Answer
from obverse.measuring.reversal_statistics import SubtaskSummary, summarize
from obverse.measuring.statistics import mean_interval
from obverse.recipes.repro_reversal_plan import LEFT, Trial

WORDINGS: tuple[Wordings, ...] = ("held-out", "training")

FORWARD, REVERSE, BOTH = ("N2D", "D2N"), ("N2D-reverse", "D2N-reverse"), ("both-N2D", "both-D2N")
"""Subtasks in the direction trained, against it, and of those trained in both."""

Person = tuple[str, str]
"""A run and who is asked about in it: the same person in two seeds is two."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The answer to one question, without its words.

    Attributes:
        entity: Who is asked about.
        template: In which wording.
        right: Whether each token of the right answer is the likeliest.
        logprob: Log-probability of the right answer, in nats.
        random: Of another person's.
    """

    entity: int
    template: int
    right: bool
    logprob: float
    random: float

    @classmethod
    def of(cls, answer: Answer) -> Cell:
        """Keep of an answer what is judged; it must have been scored beside a random one."""
        assert answer.logprob is not None
        assert answer.random_logprob is not None
        row = answer.prompt
        return cls(row.entity, row.template, bool(answer.verdicts["greedy"]), answer.logprob, answer.random_logprob)

    def answer(self, run: str) -> Answer:
        """Return it as an answer of a run; its words are gone."""
        row = Prompt("", "", self.entity, self.template)
        return Answer(row, None, self.logprob, 0, self.random, {"greedy": float(self.right)}, run)


@dataclass(frozen=True, slots=True)
class Measured:
    """A trained model's answers.

    Attributes:
        trial: Which model.
        cells: ``way/wordings/subtask`` → a cell a question.
        seconds: CPU-seconds of its training; None if it was stopped between training and asking.
    """

    trial: Trial
    cells: Mapping[str, tuple[Cell, ...]]
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, with an ``id``."""
        rows = {
            name: [
                [one.entity, one.template, int(one.right), round(one.logprob, 5), round(one.random, 5)] for one in of
            ]
            for name, of in self.cells.items()
        }
        return {"id": self.trial.id, "trial": asdict(self.trial), "cells": rows, "seconds": self.seconds}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Measured:
        """Read what `to_json` returned."""
        cells = {
            name: tuple(Cell(who, wording, bool(right), *logprobs) for who, wording, right, *logprobs in rows)
            for name, rows in record["cells"].items()
        }
        return cls(Trial(**record["trial"]), cells, record["seconds"])


class Results:
    """The answers of all models, by arm and steps."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        self._by_place: dict[tuple[str, int], list[Measured]] = {}
        for one in sorted(measured, key=lambda one: one.trial.seed):
            self._by_place.setdefault((one.trial.arm, one.trial.steps), []).append(one)

    def of(self, arm: str, steps: int) -> list[Measured]:
        """Return the models of an arm, by seed; none if it was not trained so long."""
        return self._by_place.get((arm, steps), [])


def answers(
    models: Sequence[Measured], subtasks: Sequence[str], wordings: Wordings = "held-out", way: str = LEFT
) -> list[Answer]:
    """Return the answers of some models to some subtasks; the same person in two seeds is two."""
    return [
        cell.answer(str(one.trial.seed))
        for one in models
        for subtask in subtasks
        for cell in one.cells.get(f"{way}/{wordings}/{subtask}", ())
    ]


def summary(
    models: Sequence[Measured],
    subtasks: Sequence[str],
    wordings: Wordings = "held-out",
    way: str = LEFT,
    untrained: Sequence[Measured] = (),
) -> SubtaskSummary:
    """Sum up some subtasks as one, by person, against the untrained models of the same seeds if there are any."""
    seeds = {one.trial.seed for one in models}
    before = answers([one for one in untrained if one.trial.seed in seeds], subtasks, wordings)
    found = {"": answers(models, subtasks, wordings, way)}
    return summarize(found, {"": before} if before else None)[""]


def right(
    models: Sequence[Measured], subtasks: Sequence[str], wordings: Wordings = "held-out", way: str = LEFT
) -> Interval:
    """Return the share of right answers, by person, with its exact 95 % interval."""
    return share_interval([*shares(models, subtasks, wordings, way).values()])


def gap(
    models: Sequence[Measured], subtasks: Sequence[str], wordings: Wordings = "held-out", way: str = LEFT
) -> Interval:
    """Return by how many nats the right answer is likelier than a random one, by person, bootstrapped."""
    return mean_interval([*gaps(models, subtasks, wordings, way).values()], shares=False)


def shares(
    models: Sequence[Measured], subtasks: Sequence[str], wordings: Wordings = "held-out", way: str = LEFT
) -> dict[Person, float]:
    """Return the share of right answers of each person."""
    return by_person((one.unit, one.verdicts["greedy"]) for one in answers(models, subtasks, wordings, way))


def gaps(
    models: Sequence[Measured], subtasks: Sequence[str], wordings: Wordings = "held-out", way: str = LEFT
) -> dict[Person, float]:
    """Return the mean gap of each person."""
    return by_person((one.unit, one.gap or 0.0) for one in answers(models, subtasks, wordings, way))


def by_person(values: Iterable[tuple[Person, float]]) -> dict[Person, float]:
    """Return the mean of each person's values."""
    found: dict[Person, list[float]] = {}
    for person, value in values:
        found.setdefault(person, []).append(value)
    return {person: sum(of) / len(of) for person, of in found.items()}


def seconds_text(models: Sequence[Measured]) -> str:
    """Return the mean CPU-seconds of a training run, as text; a dash where none is known."""
    known = [one.seconds for one in models if one.seconds is not None]
    return f"{sum(known) / len(known):.0f}" if known else "-"
