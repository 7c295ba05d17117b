"""Chunks of a corpus scored by several processes on this machine, or by workers on Ray; taken as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any, NamedTuple

from obverse.recipes.cluster import cluster
from obverse.recipes.fanout import fan_out
from obverse.recipes.guarded import GuardedScorer, Outcome

_AHEAD = 2
"""Chunks a worker that are read ahead."""

_RAY_WAVE = 256
"""Chunks handed to the cluster at a time: what is in memory here."""


class Work(NamedTuple):
    """A chunk, and the segments of its documents, which is all that a worker is given."""

    chunk: Any
    documents: list[tuple[str, ...]]


def on_threads(
    jobs: Iterable[Work], make: Callable[[], GuardedScorer], workers: int
) -> Iterator[tuple[Any, list[Outcome]]]:
    """Yield each chunk with its outcomes, in order; each worker is a thread that waits for a process of its own."""
    crew = [make() for _ in range(workers)]
    free: SimpleQueue[GuardedScorer] = SimpleQueue()
    for scorer in crew:
        free.put(scorer)

    def work(documents: list[tuple[str, ...]]) -> list[Outcome]:
        scorer = free.get()
        try:
            return scorer(documents)
        finally:
            free.put(scorer)

    waiting: deque[tuple[Any, Future[list[Outcome]]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for chunk, documents in jobs:
            waiting.append((chunk, pool.submit(work, documents)))
            if len(waiting) >= _AHEAD * workers:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for scorer in crew:
            scorer.close()


def on_ray(
    jobs: Iterable[Work],
    make: Callable[[], GuardedScorer],
    ray: str,
    workers: int | None,
    gpus_per_worker: float | None,
) -> Iterator[tuple[Any, list[Outcome]]]:
    """Yield each chunk with its outcomes, as they are done."""
    left = iter(jobs)
    with cluster(ray):
        while wave := list(islice(left, _RAY_WAVE)):
            texts = [work.documents for work in wave]
            for place, outcomes in fan_out(
                texts, make, ray=ray, workers=workers, gpus_per_worker=gpus_per_worker, label=""
            ):
                yield wave[place].chunk, outcomes
