"""The benchmark itself: plan, fan out, append each record as it comes, sum up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from obverse.core import KINDS, Case, Progress, Run
from obverse.recipes.bench.data import Dataset, load_dataset
from obverse.recipes.bench.methods import UNEDITED, MethodRun, folder_name, plan_methods, settings_of
from obverse.recipes.bench.request import BenchPlan, BenchRequest
from obverse.recipes.bench.results import Bench, read_bench, summary, write_summaries
from obverse.recipes.bench.side_effects import check_tasks, run_tasks
from obverse.recipes.bench.worker import Job, Work, Worker
from obverse.recipes.cluster import check_ray
from obverse.recipes.facts import check_cases, last_wins
from obverse.recipes.fanout import fan_out
from obverse.recipes.models import load_model
from obverse.recipes.plan import prepare
from obverse.recipes.record import now, run_record
from obverse.verifying.measures import SHARED_DRIFT, SINGLE_DRIFT

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

VERSION = 1
"""Version of what is measured and how records are written; a run of another one is not gone on with."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        bench: The results so far, all shards together; None after a dry run.
    """

    plan: BenchPlan
    bench: Bench | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the plan and the results as JSON values."""
        runs = {label: summary(self.bench, label) for label in self.bench.runs} if self.bench else {}
        return {"plan": {**asdict(self.plan), "schedule": self.plan.schedule.model_dump(mode="json")}, "runs": runs}


def run_bench(request: BenchRequest, show: Callable[[BenchPlan], object] = lambda _: None) -> BenchResult:
    """Run every method over the data set, or go on with an earlier benchmark in the same folder.

    A stop at any moment loses the batches in flight: begun again, they are the same to the last bit, as all batches are
    cut from the whole data set beforehand.

    Args:
        request: What is asked.
        show: Is given the plan before the work begins.

    Raises:
        UnknownName: If there is no such method, data set or model.
        ConfigError: If a setting is wrong; before the model is loaded.
        DataError: If a case is malformed, or two that are edited together contradict each other.
        RunConflict: If the folder holds a benchmark with other settings; they are named.
        ObverseError: If memory does not suffice for one case, or the cluster cannot be used.
    """
    request = _resolved(request)
    runs = {run.label: run for run in plan_methods(request.methods, request.overrides, request.sweep)}
    check_tasks(request.harness, request.schedule)
    check_ray(request.ray)
    dataset = load_dataset(
        request.dataset, request.path, limit=request.limit, first=request.first, snippets=request.snippets
    )
    cases, dropped = _settled(request, dataset)
    start = now()
    with Progress("Loading the model"):
        lm = load_model(request.model)
    folders = {label: request.out / folder_name(label) for label in runs}
    work = Work(
        request.model, runs, tuple(cases), request.schedule, request.measure, request.batch, request.tfidf, folders
    )
    configs = {label: _config(request, dataset, lm, run) for label, run in runs.items()}
    with ExitStack() as stack:
        opened: dict[str, Run] = {}
        if not request.dry_run:
            about = run_record("bench", {}, lm, request.measure.seed, start)
            for order, (label, config) in enumerate(configs.items()):
                told = {"label": label, "order": order} | {
                    key: about[key] for key in about if key not in ("config", "end")
                }
                run = Run.open(folders[label], config, about=told, replace=request.replace, shard=request.shard)
                opened[label] = stack.enter_context(run)
        jobs = [job for label in runs for job in _todo(work, label, opened.get(label), request.shard)]
        plan = _plan(request, dataset, lm, work, configs, jobs, dropped)
        show(plan)
        if request.dry_run:
            return BenchResult(plan)
        _work(request, work, lm, jobs, opened)
        run_tasks(lm, request.harness, folders)
    bench = read_bench(request.out)
    write_summaries(bench)
    return BenchResult(plan, bench)


def _resolved(request: BenchRequest) -> BenchRequest:
    if request.measure.drift_tokens is not None:
        return request
    tokens = SINGLE_DRIFT if request.schedule.kind == "single" else SHARED_DRIFT
    return replace(request, measure=request.measure.model_copy(update={"drift_tokens": tokens}))


def _settled(request: BenchRequest, dataset: Dataset) -> tuple[list[Case], tuple[str, ...]]:
    """Refuse facts that contradict each other where they are edited together, or keep the last of each."""
    cases = list(dataset.cases)
    if request.schedule.kind == "single":
        return cases, ()
    dropped: tuple[str, ...] = ()
    if request.last_wins:
        cases, gone = last_wins(cases)
        dropped = tuple(map(str, gone))
    check_cases(cases)
    return cases, dropped


def _config(request: BenchRequest, dataset: Dataset, lm: LanguageModel, run: MethodRun) -> dict[str, Any]:
    """Return everything that a run's records depend on."""
    schedule = request.schedule.model_dump(mode="json")
    alone = run.label == UNEDITED or request.schedule.kind == "single"
    return {
        "benchmark": VERSION,
        "dataset": {"name": dataset.name, "digest": dataset.digest, "first": dataset.first,
                    "last_wins": request.last_wins and not alone,
                    # Single edits do not depend on how many others there are, so a run can be made longer.
                    "limit": None if alone else request.limit},
        "model": {"fingerprint": lm.fingerprint.to_json(), "dtype": str(lm.dtype).removeprefix("torch.")},
        "method": run.method,
        "settings": settings_of(run.editor(lm)),
        "schedule": {"kind": "single"} if run.label == UNEDITED else schedule,
        "measure": request.measure.model_dump(mode="json"),
        "tfidf": [path.name for path in request.tfidf] if request.tfidf else None,
        "batch": request.batch,
    }  # fmt: skip


def _todo(work: Work, label: str, run: Run | None, shard: tuple[int, int]) -> list[Job]:
    """Return the units of this shard that are not whole yet: units, not cases, are dealt out, so none is cut apart."""
    done = run.done() if run is not None else set[str]()
    mine = work.jobs(label)[shard[0] :: shard[1]]
    return [job for job in mine if not _whole(work, job, done)]


def _whole(work: Work, job: Job, done: set[str]) -> bool:
    ids = [work.cases[place].id for place in job.cases]
    if job.label != UNEDITED and work.schedule.kind == "sequential":
        ids = [f"{len(ids)}:{id}" for id in ids]
    return all(id in done for id in ids)


def _plan(
    request: BenchRequest,
    dataset: Dataset,
    lm: LanguageModel,
    work: Work,
    configs: dict[str, dict[str, Any]],
    jobs: Sequence[Job],
    dropped: tuple[str, ...],
) -> BenchPlan:
    probes = {kind: sum(len(case.probes.get(kind, ())) for case in work.cases) for kind in KINDS}
    return BenchPlan(
        model=f"{lm.name} ({lm.fingerprint})",
        dataset=dataset.name,
        cases=len(work.cases),
        probes={kind: count for kind, count in probes.items() if count},
        schedule=request.schedule,
        runs={label: config["settings"] for label, config in configs.items()},
        todo={label: sum(len(job.cases) for job in jobs if job.label == label) for label in configs},
        dropped=dropped,
    )


def _work(request: BenchRequest, work: Work, lm: LanguageModel, jobs: Sequence[Job], runs: dict[str, Run]) -> None:
    for label in dict.fromkeys(job.label for job in jobs):  # counted once here, not by each worker
        if (editor := work.runs[label].editor(lm)) is not None:
            prepare(lm, editor)
    own = Worker(work, lm) if request.ray is None else None
    if own is not None:
        results = fan_out(jobs, lambda: own, label="batches")
    else:
        if request.model.device_map is None:
            nn.Module.to(lm.model, "cpu")  # leaves the GPU to the workers, who load their own
        results = fan_out(
            jobs, lambda: Worker(work), ray=request.ray, workers=request.workers,
            gpus_per_worker=request.gpus_per_worker, label="batches",
        )  # fmt: skip
    places = {case.id: place for place, case in enumerate(work.cases)}
    for done, records in results:
        run = runs[jobs[done].label]
        known = run.done()
        for record in records:
            if record["id"] not in known:
                run.append({**record, "place": places[record.get("case", record["id"])]})
