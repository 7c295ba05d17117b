"""Work on a shared model: one job at a time, in the order asked, with progress to look at and a way to cancel it.

One thread does all jobs, so whatever a job changes of a model for a while (an edit applied, states restored) nobody
else ever meets. A job tells how far it is through `obverse.core.progress`; a cancelled one ends at the next step it
reports, and its context managers put everything back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Generic, TypeVar

from obverse.core import reporting

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Not an error: ends a job that nobody wants any more."""


@dataclass(frozen=True, slots=True)
class Beat:
    """How far a job has come.

    Attributes:
        label: What is being done: of the parts under way the last one with a name; empty if nothing was said yet.
        share: Share of the last part that is done, 0 to 1; None where its total is not known.
        note: What is shown beside, e.g. a loss.
        ahead: Jobs of others that come first; 0 once it runs.
        seconds: Since it was asked for.
        shown: What the job gave to be looked at meanwhile, see `Job.show`; None if nothing yet.
    """

    label: str
    share: float | None
    note: str
    ahead: int
    seconds: float
    shown: object = None


@dataclass(slots=True)
class _Bar:
    label: str
    total: float | None
    done: float = 0.0
    note: str = ""


class Job(Generic[Result]):
    """A piece of work that was asked for; also the reporter of its own progress.

    Attributes:
        name: What it is, for the log.
    """

    def __init__(self, name: str, ahead: Callable[[Job[Result]], int]) -> None:
        self.name = name
        self.future: Future[Result] = Future()
        self._ahead = ahead
        self._bars: dict[int, _Bar] = {}
        self._count = 0
        self._stop = threading.Event()
        self._shown: object = None
        self._asked = time.monotonic()

    def start(self, label: str, total: float | None) -> int:
        """Begin a part of the work; ends the job if it was cancelled."""
        self._check()
        self._count += 1
        self._bars[self._count] = _Bar(label, total)
        return self._count

    def advance(self, handle: int, amount: float, note: str) -> None:
        """Move a part on; ends the job if it was cancelled."""
        self._check()
        bar = self._bars[handle]
        bar.done, bar.note = bar.done + amount, note or bar.note

    def finish(self, handle: int) -> None:
        """End a part of the work."""
        self._bars.pop(handle, None)

    def show(self, something: object) -> None:
        """Give something to be looked at before the job is done; ends the job if it was cancelled."""
        self._check()
        self._shown = something

    def cancel(self) -> None:
        """End the job at its next step, or before it begins."""
        self._stop.set()

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.future.done()

    def beat(self) -> Beat:
        """Return how far it is now."""
        bars = list(self._bars.values())
        label = next((bar.label for bar in reversed(bars) if bar.label), "")
        bar = bars[-1] if bars else _Bar("", None)
        share = min(1.0, bar.done / bar.total) if bar.total else None
        return Beat(label, share, bar.note, self._ahead(self), time.monotonic() - self._asked, self._shown)

    def beats(self, every: float = 0.25) -> Iterator[Beat]:
        """Yield how far it is, again and again until it has ended.

        Args:
            every: Seconds between two.
        """
        while True:
            yield self.beat()
            try:
                self.future.exception(every)
            except NotYet:
                continue
            except CancelledError:
                pass
            return

    def result(self) -> Result:
        """Return what came of it.

        Raises:
            Cancelled: If it was cancelled.
            ObverseError: If what was asked cannot be done.
        """
        return self.future.result()

    def run(self, work: Callable[[Job[Result]], Result]) -> None:
        """Do the work, in the thread that calls."""
        try:
            self._check()
            with reporting(self):
                self.future.set_result(work(self))
        except BaseException as error:  # whatever it is, whoever waits for the result gets it
            self.future.set_exception(error)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled(self.name)


class Worker:
    """Does jobs one after the other, in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="obverse-model")
        self._lock = threading.Lock()
        self._queue: list[Job] = []

    def submit(self, name: str, work: Callable[[Job[Result]], Result]) -> Job[Result]:
        """Ask for a piece of work.

        Args:
            name: What it is, for the log.
            work: Does it; is given its job, to show what it has meanwhile.
        """
        job: Job[Result] = Job(name, self._ahead)
        with self._lock:
            self._queue.append(job)
        self._pool.submit(self._do, job, work)
        return job

    def _do(self, job: Job[Result], work: Callable[[Job[Result]], Result]) -> None:
        began = time.monotonic()
        try:
            job.run(work)
        finally:
            with self._lock:
                self._queue.remove(job)
            _log.info("%s: %.1f s", job.name, time.monotonic() - began)

    def _ahead(self, job: Job) -> int:
        with self._lock:
            return self._queue.index(job) if job in self._queue else 0

    def close(self) -> None:
        """Cancel everything and wait until the job under way has ended."""
        with self._lock:
            for job in self._queue:
                job.cancel()
        self._pool.shutdown()
