"""Jobs done one after another in this process, or spread over Ray workers that are replaced when they die."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from obverse.core import ObverseError, Progress, package_version
from obverse.recipes.cluster import Plan, cluster, plan

log = logging.getLogger(__name__)

TRIES = 3
"""Workers that may die of one job, or one after another as they start."""

PATIENCE = 60
"""Seconds until it is said that nothing happens yet."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def fan_out(
    jobs: Sequence[Job],
    make: Callable[[], Callable[[Job], Result]],
    *,
    ray: str | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    label: str = "jobs",
) -> Iterator[tuple[int, Result]]:
    """Do the jobs and yield each result with its job's place: in order in this process, as they are done on Ray.

    A worker makes its function once and does one job at a time. If it dies, another takes its place and is given the
    job again. All results come to this process. Nothing begins before the first result is asked for, and to leave the
    loop ends the workers.

    Args:
        jobs: What to do. On Ray, jobs, results and ``make`` travel between processes: they must pickle.
        make: Returns the function that does a job; loads what that needs, such as a model. Not called without jobs.
        ray: None for this process, or the address of a cluster, as in `cluster.cluster`.
        workers: How many; None as in `cluster.plan`. Without Ray not used.
        gpus_per_worker: GPUs of each; None as in `cluster.plan`. Without Ray not used.
        label: Stands beside the progress bar.

    Raises:
        ConfigError: If the address or the number of workers or GPUs makes no sense.
        ObverseError: If there is no such cluster or no room in it, if three workers died of one job (what the others
            were doing is yielded first), or if all died as they started. One raised by a job comes as it was raised;
            any other exception of a job comes with the worker's traceback.
    """
    if not jobs:
        return
    with Progress(label, len(jobs)) as progress:
        if ray is not None:
            with cluster(ray) as machines:
                yield from _Crew(jobs, make, plan(machines, workers, gpus_per_worker), progress).results()
            return
        run = make()
        for place, job in enumerate(jobs):
            result = run(job)
            progress.advance()
            yield place, result


class _Worker:
    """What lives in a worker's process: the function that does jobs."""

    def start(self, version: str, threads: int, boxed: tuple[Any]) -> None:
        """Make the function; it comes as a reference in a box, so as to be unpickled once the versions agree."""
        if (own := package_version()) != version:
            raise ObverseError(f"A worker has obverse {own}, this process has {version}.", _install())
        import ray
        import torch

        torch.set_num_threads(threads)
        make: Callable[[], Callable[[Any], Any]] = cast("Any", ray.get(boxed[0]))
        self._run = make()

    def run(self, job: Any) -> Any:
        """Do a job."""
        return self._run(job)


def _install() -> str:
    return (
        f"Install obverse {package_version()} on every machine of the cluster, and see that a worker fits its memory."
    )


class _Crew:
    """The workers, and the job that each is doing; None while it starts."""

    def __init__(self, jobs: Sequence[Any], make: Callable[[], Any], plan: Plan, progress: Progress) -> None:
        import ray

        self._jobs, self._progress = jobs, progress
        self._todo, self._deaths = deque(range(len(jobs))), Counter[int | None]()
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._idle: list[Any] = []
        self._alive: list[Any] = []
        self._failure: ObverseError | None = None
        self._size = min(plan.workers, len(jobs))
        self._actor: Any = ray.remote(num_cpus=plan.cores, num_gpus=plan.gpus)(_Worker)
        self._settings = package_version(), plan.threads, (ray.put(make),)

    def results(self) -> Iterator[tuple[int, Any]]:
        """Do all jobs; yield the place and the result of each."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        patience: float | None = PATIENCE
        try:
            for _ in range(self._size):
                self._hire()
            while self._todo or any(place is not None for _, place in self._busy.values()):
                done, _ = ray.wait(list(self._busy), timeout=patience)
                if not done:
                    patience = None
                    self._tell_waiting()
                    continue
                worker, place = self._busy.pop(done[0])
                try:
                    result = ray.get(done[0])
                except RayTaskError as error:
                    raise error.cause if isinstance(error.cause, ObverseError) else error from None
                except RayError as error:
                    self._alive.remove(worker)
                    ray.kill(worker)  # it may live still, on a machine that does not answer
                    self._replace(place, error)
                    continue
                self._employ(worker)
                if place is not None:
                    self._progress.advance()
                    yield place, result
                else:
                    self._deaths[None] = 0
                    self._tell()
            if self._failure:
                raise self._failure
        finally:
            for worker in self._alive:
                ray.kill(worker)

    def _hire(self) -> None:
        worker = self._actor.remote()
        self._alive.append(worker)
        self._busy[worker.start.remote(*self._settings)] = worker, None
        self._tell()

    def _employ(self, worker: Any) -> None:
        if self._todo:
            place = self._todo.popleft()
            self._busy[worker.run.remote(self._jobs[place])] = worker, place
        else:
            self._idle.append(worker)

    def _replace(self, place: int | None, error: Exception) -> None:
        """Give a dead worker's job to another; or, if too many died of it, give no more and let the others end."""
        self._deaths[place] += 1
        given_up = self._deaths[place] >= TRIES
        what = "as it started" if place is None else f"at job {place + 1} of {len(self._jobs)}"
        log.warning("A worker died %s (%d in a row): %s", what, self._deaths[place], _reason(error))
        if place is not None and given_up:
            self._todo.clear()
            self._failure = ObverseError(
                f"{TRIES} workers died of job {place + 1}, one after another: {self._jobs[place]!r:.200}.\n"
                f"The last one: {_reason(error)}",
                "Results so far are kept. See whether the job needs more memory than a worker has.",
            )
        elif place is not None and not self._failure:
            self._todo.appendleft(place)
        if self._todo and self._idle:
            self._employ(self._idle.pop())
        elif self._todo and not given_up:
            self._hire()
        elif self._todo and not self._busy:
            raise ObverseError(f"{TRIES} workers died as they started. The last one: {_reason(error)}", _install())

    def _tell(self) -> None:
        starting = sum(place is None for _, place in self._busy.values())
        ready = len(self._busy) - starting + len(self._idle)
        self._progress.advance(0, f"{ready} of {self._size} workers ready" if starting else f"{ready} workers")

    def _tell_waiting(self) -> None:
        if all(place is None for _, place in self._busy.values()):
            log.warning(
                "No worker is ready after %d s: they load, or wait for cores or GPUs that others hold (ray status).",
                PATIENCE,
            )


def _reason(error: Exception) -> str:
    """Return what Ray says of a death, without ids, traceback and general advice."""
    text = str(error).rpartition("Worker exit detail: ")[2].partition(" Some common causes")[0].strip()
    return text.splitlines()[-1].strip() if text else type(error).__name__
