"""Teach people in one order, ask in both: build, train, ask, and sum up.

A run's folder::

    run.json               what all models share
    records.00000.jsonl    a line a model
    sets/ preferences/ models/ answers/    see `reversal_run_train`
    edits/ traces/         of ``--then``
    summary.json, report.md, report.html, *.svg, *.png    once all is done
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obverse.core import Run, RunConflict, read_records
from obverse.recipes.fanout import fan_out
from obverse.recipes.record import now
from obverse.recipes.repro import spread
from obverse.recipes.reversal_run_edit import run_edits
from obverse.recipes.reversal_run_plan import MADE, ReversalRunRequest, RunPlan, make_plan
from obverse.recipes.reversal_run_report import whole_json, write_files
from obverse.recipes.reversal_run_results import RunResults, read_run
from obverse.recipes.reversal_run_trace import run_traces
from obverse.recipes.reversal_run_train import Work, content_of, prepare, trial_config


@dataclass(frozen=True, slots=True)
class ReversalRunResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        results: All answers; None after a dry run.
        files: Report, page and figures.
    """

    plan: RunPlan
    results: RunResults | None = None
    files: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        found = whole_json(self.results) if self.results else {}
        return {"plan": self.plan.to_json(), **found, "files": [str(path) for path in self.files]}


def run_reversal(
    request: ReversalRunRequest, announce: Callable[[RunPlan], None] = lambda _: None
) -> ReversalRunResult:
    """Train models on people in one order or both, ask each in both directions, and sum up.

    A stopped run goes on with the same call and loses at most the models in training. More objectives and seeds may
    join a run.

    Args:
        request: What is asked.
        announce: Called with the plan before the long work starts.

    Raises:
        UnknownName: If there is no such objective, model or folder.
        ConfigError: If a setting is wrong; nothing is written then.
        DataError: If there are not so many people, or a held-out question stands in the training text.
        RunConflict: If the folder holds a run of other people or settings.
    """
    plan = make_plan(request)
    plan = replace(plan, done=frozenset(str(one["id"]) for one in read_records(plan.folder)))
    works = {trial.id: Work.of(plan, trial) for trial in plan.trials}
    for work in works.values():
        trial_config(work)  # every mistake in settings before anything is written
    announce(plan)
    if request.dry_run:
        return ReversalRunResult(plan)
    about = {"command": "reversal run", "command_line": request.command, "start": now()}
    with Run.open(plan.folder, _identity(plan), about=about) as run:
        _check_same(run, plan)
        missing = [works[id] for id in run.todo(works)]
        for work in {work.documents: work for work in missing}.values():
            prepare(work)  # before several processes want it
        if request.ray is not None:
            made = (one for _, one in fan_out(missing, _maker, ray=request.ray, label="Models"))
        else:
            made = (one for _, one in spread(missing, train_and_ask, request.workers, "Models"))
        for record in made:
            run.append(record)
        if "edit" in plan.then.what:
            run_edits(plan)
        if "trace" in plan.then.what:
            run_traces(plan)
        results = read_run(plan.folder)
        files = write_files(results, request.command)
        run.finish({**whole_json(results), "end": now()})
    return ReversalRunResult(plan, results, tuple(files))


def train_and_ask(work: Work) -> dict[str, Any]:
    """Train a model and ask it everything; done in a process of its own."""
    from obverse.recipes.reversal_run_measure import train_and_ask

    return dict(train_and_ask(work))


def _maker() -> Callable[[Work], dict[str, Any]]:
    return train_and_ask


def _identity(plan: RunPlan) -> dict[str, Any]:
    """Return what every model depends on; of a folder of people its content, wherever it stands."""
    from obverse.data.reversal import read_reversal

    settings = plan.settings.model_dump(mode="json", exclude={"objectives"})
    data = plan.data if plan.data in MADE else read_reversal(Path(plan.data)).hash
    named = {"command": "reversal run", "model": plan.model, "data": data, "preferences": plan.preferences}
    return {**named, **{name: value for name, value in settings.items() if name != "model"}, "start": settings["model"]}


def _check_same(run: Run, plan: RunPlan) -> None:
    """Refuse to go on where a model that is done was trained with other settings, or on other people."""
    trials = {trial.id: trial for trial in plan.trials}
    for record in run.records():
        trial = trials.get(str(record["id"]))
        if trial is None:
            continue
        asked = dict(trial.arm.objective) if record["settings"] else {}
        if record["settings"] != asked:
            raise RunConflict(
                f"{trial.id} of {run.folder} was trained with {record['settings']}; given are {asked}.",
                "Give the stored settings, or choose another folder.",
            )
        work = Work.of(plan, trial)
        if work.documents.is_file() and (found := content_of(work)) != record["data"]:
            raise RunConflict(
                f"{trial.id} of {run.folder} was trained on the people {record['data']}, but {work.set} holds {found}.",
                "The folder holds files of different runs: put the set back, or choose another folder.",
            )
