"""A folder of ``obverse reversal run`` read again: whose answers they are, and what they amount to by person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obverse.core import DataError, file_hash, read_records
from obverse.data.reversal import SUBTASKS
from obverse.measuring.reversal import Answer
from obverse.measuring.reversal_statistics import SubtaskSummary, summarize
from obverse.measuring.statistics import Paired, paired
from obverse.recipes.repro_reversal_plan import LEFT, MLE, UNTRAINED
from obverse.recipes.repro_reversal_results import by_person
from obverse.recipes.reversal_run_measure import read_answers

if TYPE_CHECKING:
    from obverse.recipes.reversal_run_edit import Edited
    from obverse.recipes.reversal_run_trace import Traced

Place = tuple[str, str, str, str]
"""Objective, way of asking, wordings, subtask."""

BASE = MLE
"""What other objectives are compared with, if it was trained."""


@dataclass(frozen=True)
class RunResults:
    """Everything that was answered.

    Attributes:
        folder: The run's folder.
        config: Settings that all models share.
        records: A record a model, by objective in the order trained, then by seed.
        answers: Place → answers of all seeds.
    """

    folder: Path
    config: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]
    answers: Mapping[Place, tuple[Answer, ...]]

    @property
    def objectives(self) -> tuple[str, ...]:
        """What was trained."""
        return tuple(dict.fromkeys(one["objective"] for one in self.records if one["objective"] != UNTRAINED))

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Each objective with each way in which its models were asked."""
        return tuple(dict.fromkeys((name, way) for name, way, _, _ in self.answers if name != UNTRAINED))

    @property
    def subtasks(self) -> tuple[str, ...]:
        """Subtasks that were asked, in order."""
        there = {place[3] for place in self.answers}
        return tuple(name for name in SUBTASKS if name in there)

    def seeds(self, objective: str) -> tuple[int, ...]:
        """Return the seeds of an objective."""
        return tuple(int(one["seed"]) for one in self.records if one["objective"] == objective)

    def seconds(self, objective: str) -> float:
        """Return the mean time of training, in seconds by the clock."""
        found = [float(one["seconds"]) for one in self.records if one["objective"] == objective]
        return sum(found) / len(found)

    @cached_property
    def summaries(self) -> dict[Place, SubtaskSummary]:
        """What the answers amount to, by person, beside the untrained model of the same seeds."""
        found: dict[Place, SubtaskSummary] = {}
        for place, answers in self.answers.items():
            objective, _, wordings, subtask = place
            if objective == UNTRAINED:
                continue
            units = {answer.unit for answer in answers}
            before = [one for one in self.answers[UNTRAINED, LEFT, wordings, subtask] if one.unit in units]
            found[place] = summarize({subtask: answers}, {subtask: before})[subtask]
        return found

    @cached_property
    def edits(self) -> list[Edited]:
        """What ``--then edit`` found."""
        from obverse.recipes.reversal_run_edit import read_edits

        return read_edits(self.folder, self.config)

    @cached_property
    def traces(self) -> list[Traced]:
        """What ``--then trace`` found."""
        from obverse.recipes.reversal_run_trace import read_traces

        return read_traces(self.folder, self.config)

    def against_base(self, place: Place, of: str) -> Paired | None:
        """Return by how much an objective's value is above that of next-token prediction, paired by person.

        Args:
            place: The objective's place.
            of: ``right`` (each token of the answer is the likeliest) or ``gap`` (right less random answer, in nats).
        """
        objective, _, wordings, subtask = place
        base = self.answers.get((BASE, LEFT, wordings, subtask), ())
        if objective == BASE or not base:
            return None
        first, second = _by_person(self.answers[place], of), _by_person(base, of)
        shared = sorted(first.keys() & second.keys())
        return paired([first[unit] for unit in shared], [second[unit] for unit in shared]) if shared else None

    def to_json(self) -> dict[str, Any]:
        """Return the models and all numbers as JSON values."""
        summaries: dict[str, Any] = {}
        for (objective, way, wordings, subtask), one in self.summaries.items():
            place = (objective, way, wordings, subtask)
            told = one.to_json()
            for of in ("right", "gap"):
                if (pair := self.against_base(place, of)) is not None:
                    told[f"{of}_against_{BASE}"] = asdict(pair)
            summaries.setdefault(objective, {}).setdefault(way, {}).setdefault(wordings, {})[subtask] = told
        models = [
            {key: one[key] for key in ("id", "objective", "seed", "seconds", "questions")} for one in self.records
        ]
        return {"config": dict(self.config), "models": models, "summaries": summaries}


def _by_person(answers: Sequence[Answer], of: str) -> dict[tuple[str, str], float]:
    values = ((one.unit, one.gap if of == "gap" else one.verdicts.get("greedy")) for one in answers)
    return by_person((unit, value) for unit, value in values if value is not None)


def read_run(folder: Path) -> RunResults:
    """Read a run, finished or not.

    Raises:
        DataError: If the folder is no run of this command, none of its models was asked yet, or its files come from
            different runs: models of one seed that were trained on other people, or answers that were changed.
    """
    try:
        config = json.loads((folder / "run.json").read_text("utf-8"))["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_run(folder) from error
    if not isinstance(config, dict) or cast("dict[str, Any]", config).get("command") != "reversal run":
        raise _no_run(folder)
    records = [cast("Mapping[str, Any]", one) for one in read_records(folder)]
    if not any(one["objective"] != UNTRAINED for one in records):
        raise DataError(f"No model of {folder} was asked yet.", "Let `obverse reversal run` go on.")
    check_one_run(folder, records)
    order = list(dict.fromkeys(one["objective"] for one in records))
    order.sort(key=lambda name: (name != BASE, name == UNTRAINED))
    records.sort(key=lambda one: (order.index(one["objective"]), one["seed"]))
    answers: dict[Place, list[Answer]] = {}
    for record in records:
        for way, wordings, subtask, answer in read_answers(folder / "answers" / f"{record['id']}.jsonl"):
            answers.setdefault((record["objective"], way, wordings, subtask), []).append(answer)
    return RunResults(folder, config, tuple(records), {place: tuple(of) for place, of in answers.items()})


def check_one_run(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse records and answers that do not belong together.

    Raises:
        DataError: Naming the models.
    """
    first: dict[int, Mapping[str, Any]] = {}
    for one in records:
        other = first.setdefault(one["seed"], one)
        if other["data"] != one["data"]:
            raise DataError(
                f"{folder} holds models of different runs: {other['id']} was trained on the people {other['data']}, "
                f"{one['id']} on {one['data']}.",
                "Compare models of the same people: run both into one folder.",
            )
        path = folder / "answers" / f"{one['id']}.jsonl"
        if not path.is_file() or file_hash(path) != one["answers"]:
            raise DataError(
                f"{path} is not the file that was written for {one['id']}"
                f"{': it is missing' if not path.is_file() else ', or was changed since'}.",
                f"Put it back, or take the line of {one['id']} out of the records: it is then asked again.",
            )


def _no_run(folder: Path) -> DataError:
    return DataError(f"{folder} is no run of `obverse reversal run`.", "Name the folder that it wrote (--out).")
