"""What every reproduction of a paper shares: verdicts, intervals over seeds, jobs in several processes."""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any, Literal, TypeVar

import numpy as np
import yaml

from obverse.core import ConfigError, Interval, ObverseError, Progress, UnknownName
from obverse.recipes.fanout import fan_out

Outcome = Literal["held", "did not hold", "open"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The 97.5 % point of Student's t, for 1 to 30 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one statement.

    Attributes:
        claim: The claim it belongs to, e.g. ``"claim1"``.
        statement: What was to be shown, with the number that decides.
        found: The quantity that decides, over seeds.
        bound: The number it is compared with.
        above: Whether the statement holds above the bound, rather than below.
    """

    claim: str
    statement: str
    found: Interval
    bound: float
    above: bool = True

    @property
    def outcome(self) -> Outcome:
        """``held`` if the whole 95 % interval is on the statement's side, ``open`` if the bound lies inside it."""
        low, high = (self.found.low, self.found.high) if self.above else (-self.found.high, -self.found.low)
        bound = self.bound if self.above else -self.bound
        return "held" if low > bound else "did not hold" if high <= bound else "open"

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "claim": self.claim,
            "statement": self.statement,
            "outcome": self.outcome,
            "found": interval_json(self.found),
            "bound": self.bound,
            "side": "above" if self.above else "below",
        }


def read_preset(paper: str, preset: str, seeds: int | None = None) -> Mapping[str, Any]:
    """Return the settings that a preset of a paper's reproduction has.

    Args:
        paper: First part of the file's name.
        preset: Its name.
        seeds: The number asked for, to be checked; None if none was.

    Raises:
        UnknownName: If there is no such preset.
        ConfigError: If nothing would be trained.
    """
    folder, begin = files("obverse") / "configs" / "repro", f"{paper}-"
    known = sorted(file.name[len(begin) : -5] for file in folder.iterdir() if file.name.startswith(begin))
    if preset not in known:
        raise UnknownName.among("preset", preset, known)
    if seeds is not None and seeds < 1:
        raise ConfigError(f"--seeds {seeds} trains nothing.", "Give at least 1.")
    read: Mapping[str, Any] = yaml.safe_load((folder / f"{begin}{preset}.yaml").read_text("utf-8"))
    return read


def interval_json(found: Interval) -> dict[str, Any]:
    """Return an interval as JSON values; what is not finite becomes null."""
    values = {"mean": found.mean, "low": found.low, "high": found.high}
    return {**{name: value if math.isfinite(value) else None for name, value in values.items()}, "n": found.n}


def t_interval(values: Sequence[float]) -> Interval:
    """Return the mean over seeds with Student's 95 % interval.

    A seed's value carries the noise of its samples, so the interval covers both seeds and samples.

    Args:
        values: One a seed, at least one; of a single one the interval is the value itself.
    """
    data = np.asarray(values, dtype=np.float64)
    n, mean = len(data), float(data.mean())
    if n == 1:
        return Interval(mean, mean, mean, 1)
    quantile = _T975[n - 2] if n - 2 < len(_T975) else 1.96
    half = quantile * float(data.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def ratio_interval(above: Sequence[float], below: Sequence[float], floor: float) -> Interval:
    """Return how many times one quantity is another, paired by seed: Student's interval of the log ratio.

    Args:
        above: One a seed, not negative.
        below: The other's, of the same seeds.
        floor: Added to both, so that a count of nothing is no infinity: what half an event comes to.
    """
    logs = t_interval([math.log((a + floor) / (b + floor)) for a, b in zip(above, below, strict=True)])
    return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)


def difference_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return the first minus the second, paired by seed, with Student's 95 % interval."""
    return t_interval([a - b for a, b in zip(first, second, strict=True)])


def spread(
    jobs: Sequence[Job], work: Callable[[Job], Result], workers: int, label: str, ray: str | None = None
) -> Iterator[tuple[Job, Result]]:
    """Do jobs in processes of one thread each and yield each with its result as it is done; in this one for one worker.

    Args:
        jobs: What to do; jobs, results and ``work`` travel between processes.
        work: Does a job.
        workers: Processes.
        label: Stands beside the progress bar.
        ray: Address of a Ray cluster on whose workers the jobs are done instead; see `obverse.recipes.fanout`.

    Raises:
        ObverseError: If a worker was killed, or there is no such cluster; one raised by a job comes as it was raised.
    """
    if ray is not None:
        for place, result in fan_out(jobs, partial(_same, work), ray=ray, workers=workers, label=label):
            yield jobs[place], result
        return
    with Progress(label, len(jobs)) as progress:
        if workers == 1 or len(jobs) < 2:
            for job in jobs:
                result = work(job)
                progress.advance()
                yield job, result
            return
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(jobs)), spawn, _begin) as pool:
            waiting = {pool.submit(work, job): job for job in jobs}
            try:
                while waiting:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        yield waiting.pop(future), future.result()
                        progress.advance()
            except BrokenProcessPool as error:
                raise ObverseError(
                    "A worker process was killed, by lack of memory perhaps.",
                    "What was finished is kept: run the same command again, with fewer --workers.",
                ) from error
            finally:
                pool.shutdown(wait=not waiting, cancel_futures=True)


def _same(work: Callable[[Job], Result]) -> Callable[[Job], Result]:
    """Return what does a job, which needs nothing made ready."""
    return work


def _begin() -> None:
    """Begin a worker: one thread, as there are as many processes as cores; Ctrl-C is the first process's affair."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
