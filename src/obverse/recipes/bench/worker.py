"""What does the work of a benchmark: one model, and the records of one unit of cases after another."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Case, ObverseError
from obverse.measuring.tfidf import Tfidf
from obverse.recipes.bench.edits import edit_alone, edit_together, halved
from obverse.recipes.bench.methods import UNEDITED, MethodRun
from obverse.recipes.bench.request import Schedule
from obverse.recipes.bench.sequence import run_sequence
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.plan import Editor, prepare
from obverse.verifying.measures import MeasureConfig, Measured, measure, neutral_readings
from obverse.verifying.scores import case_values

if TYPE_CHECKING:
    from obverse.editing import Edit
    from obverse.model.language_model import LanguageModel

log = logging.getLogger(__name__)

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of work: the cases of one batch, of one edit or of one sequence.

    Attributes:
        label: The run.
        cases: Places of its cases.
    """

    label: str
    cases: range


@dataclass(frozen=True, slots=True)
class Work:
    """Everything a worker must know; it may be in another process.

    Attributes:
        model: The model.
        runs: The runs by label.
        cases: All cases of the benchmark.
        schedule: In what company they are edited.
        measure: What is measured.
        batch: Cases side by side.
        tfidf: Files of term weights, if given.
        folders: Label → folder of the run, where edits of several facts are kept.
    """

    model: ModelChoice
    runs: dict[str, MethodRun]
    cases: tuple[Case, ...]
    schedule: Schedule
    measure: MeasureConfig
    batch: int
    tfidf: tuple[Path, Path] | None
    folders: dict[str, Path]

    def jobs(self, label: str) -> list[Job]:
        """Return the units of a run, in order."""
        alone = label == UNEDITED or self.schedule.kind == "single"
        size = self.batch if alone else (self.schedule.size or len(self.cases))
        total = len(self.cases)
        return [Job(label, range(start, min(start + size, total))) for start in range(0, total, size)]


class Worker:
    """Does jobs on one model.

    Args:
        work: What there is to know.
        lm: The model, if it is loaded already.
    """

    def __init__(self, work: Work, lm: LanguageModel | None = None) -> None:
        self._work = work
        self._lm = lm or load_model(work.model)
        self._tfidf = Tfidf.load(*work.tfidf) if work.tfidf else None
        self._editors: dict[str, Editor] = {}

    def __call__(self, job: Job) -> list[Record]:
        """Return the records of a unit, in the order of its cases."""
        cases = [self._work.cases[place] for place in job.cases]
        if job.label == UNEDITED:
            return halved(self._unedited, cases, log)
        editor = self._editor(job.label)
        match self._work.schedule.kind:
            case "single":
                return halved(lambda some: self._single(editor, some), cases, log)
            case "batch":
                return self._together(editor, cases, job)
            case "sequential":
                state = self._work.folders[job.label] / f"sequence.{job.cases.start:05d}"
                return run_sequence(self._lm, editor, cases, self._work.schedule.step, state, self._scored)

    def _editor(self, label: str) -> Editor:
        if label not in self._editors:
            editor = self._work.runs[label].editor(self._lm)
            assert editor is not None
            prepare(self._lm, editor)
            self._editors[label] = editor
        return self._editors[label]

    def _unedited(self, cases: Sequence[Case]) -> list[Record]:
        began = time.perf_counter()
        found = measure(self._lm, cases, [None] * len(cases), self._work.measure, tfidf=self._tfidf)
        return [recorded(one, seconds=_share(began, cases)) for one in found]

    def _single(self, editor: Editor, cases: Sequence[Case]) -> list[Record]:
        began = time.perf_counter()
        edits = edit_alone(editor, self._lm, cases)
        spent = _share(began, cases)
        made = [(case, edit) for case, edit in zip(cases, edits, strict=True) if not isinstance(edit, ObverseError)]
        began = time.perf_counter()
        found = (
            measure(self._lm, [c for c, _ in made], [e for _, e in made], self._work.measure, tfidf=self._tfidf)
            if made
            else []
        )
        measured = iter(zip(made, found, strict=True))
        out: list[Record] = []
        for case, edit in zip(cases, edits, strict=True):
            if isinstance(edit, ObverseError):
                out.append(failure(case.id, edit))
                continue
            (_, own), one = next(measured)
            out.append(recorded(one, edit=own, seconds={"edit": spent, "measure": _share(began, made)}))
        return out

    def _together(self, editor: Editor, cases: Sequence[Case], job: Job) -> list[Record]:
        group, began = job.cases.start, time.perf_counter()
        try:
            edit = edit_together(editor, self._lm, cases)
        except ObverseError as error:
            return [{**failure(case.id, error), "group": group} for case in cases]
        seconds = {"edit": _share(began, cases)}
        edit.save(self._work.folders[job.label] / f"batch.{group:05d}", replace=True)
        return [{**record, "group": group, "seconds": seconds} for record in self._scored(cases, edit)]

    def _scored(self, cases: Sequence[Case], edit: Edit) -> list[Record]:
        """Return records of cases under one edit, under which neutral text is read once for all of them."""
        tokens = self._work.measure.drift_tokens
        (drift,) = neutral_readings(self._lm, [edit], tokens) if tokens else (None,)
        config = self._work.measure.model_copy(update={"drift_tokens": 0})

        def scored(some: Sequence[Case]) -> list[Record]:
            found = measure(self._lm, some, [edit], config, of=[0] * len(some), tfidf=self._tfidf)
            return [recorded(replace(one, drift=drift)) for one in found]

        batches = [cases[start : start + self._work.batch] for start in range(0, len(cases), self._work.batch)]
        return [record for some in batches for record in halved(scored, some, log)]


def recorded(measured: Measured, edit: Edit | None = None, seconds: object = None) -> Record:
    """Return the record of a case. Numbers that are not finite are left out, and their metrics named as broken."""
    values = case_values(measured)
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    return {
        "id": measured.case.id,
        "values": {name: value for name, value in values.items() if name not in broken},
        **({"broken": broken} if broken else {}),
        **_finite(measured.to_json()),
        "edit": _finite([dict(detail) for detail in edit.details]) if edit is not None else [],
        "seconds": seconds,
    }


def _finite(value: Any) -> Any:
    """Return JSON values with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def failure(id: str, error: ObverseError) -> Record:
    """Return the record of a case that could not be edited."""
    return {"id": id, "error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}}


def _share(began: float, cases: Sequence[object]) -> float:
    return (time.perf_counter() - began) / max(1, len(cases))
