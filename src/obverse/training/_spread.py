"""One function over many jobs in several processes: results in order, a few jobs under way at a time."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD = 2
"""Jobs a process, done or under way, that wait to be taken."""


def spread(function: Callable[[Job], Result], jobs: Iterable[Job], processes: int = 1) -> Iterator[Result]:
    """Yield the result of each job, in order.

    Args:
        function: Does a job; goes to each process once, so it must pickle.
        jobs: Taken one by one as there is room, so that memory does not grow with their number.
        processes: How many; 1 for this one alone.
    """
    if processes <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's and the tokenizer's threads
    waiting: deque[Future[Any]] = deque()
    pool = ProcessPoolExecutor(processes, context, initializer=_Own.set, initargs=(function,))
    try:
        for job in jobs:
            waiting.append(pool.submit(_Own.run, job))
            if len(waiting) >= _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Own:
    """The function of a process."""

    function: Callable[..., object]

    @classmethod
    def set(cls, function: Callable[..., object]) -> None:
        cls.function = staticmethod(function)

    @classmethod
    def run(cls, job: object) -> object:
        return cls.function(job)
