"""Read a benchmark's records again, and sum them up: by run, by point of a sequence, and pair by pair."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from obverse.core import DataError, Interval, read_records, write_whole
from obverse.measuring.statistics import Paired, paired_each
from obverse.recipes.bench.methods import UNEDITED
from obverse.verifying.scores import METRICS, summarize

Values = dict[str, dict[str, float]]
"""Case → metric → value."""

COLLAPSE = 1.0
"""Nats a token by which neutral text is read differently, KL(unedited || edited), above which a model is a ruin."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a record says of a case.

    Attributes:
        case: Its id.
        values: Metric → value; empty where the edit failed.
        error: By which the edit failed, if it did.
        broken: Metrics whose values were not finite.
        seconds: To make the edit; its share where several were made at once.
        after: Facts written when it was asked, in a sequence; else 0.
        place: Its place in the data set, counted from the first case chosen.
    """

    case: str
    values: Mapping[str, float]
    error: str | None = None
    broken: tuple[str, ...] = ()
    seconds: float | None = None
    after: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A run summed up, at one point of its sequences.

    Attributes:
        after: Facts written before; 0 where facts are edited alone or at once.
        n: Cases asked.
        failed: How many could not be edited; they count with the unedited model's values, which the user would be left
            with.
        broken: How many gave numbers that are not finite.
        metrics: Name → mean over cases and its interval.
    """

    after: int
    n: int
    failed: int
    broken: int
    metrics: Mapping[str, Interval]

    @property
    def collapsed(self) -> bool:
        """Whether neutral text is read quite differently, or cannot be read."""
        drift = self.metrics.get("drift_kl")
        return self.broken > 0 or (drift is not None and drift.mean > COLLAPSE)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The results of one method at one setting.

    Attributes:
        label: Its name.
        method: The editor.
        folder: Where its records are.
        config: What they depend on.
        cases: Its records, point by point in the order of the data set, in whatever order they were made.
        order: When it was begun and as which of several; runs stand so in tables.
    """

    label: str
    method: str
    folder: Path
    config: Mapping[str, Any]
    cases: tuple[CaseResult, ...]
    order: tuple[str, int] = ("", 0)

    @property
    def schedule(self) -> str:
        """In what company facts were edited."""
        return str(self.config["schedule"]["kind"])

    @property
    def last(self) -> int:
        """The last point of its sequences; 0 without sequences."""
        return max((case.after for case in self.cases), default=0)

    @property
    def seconds(self) -> float | None:
        """Mean seconds to make an edit; None if none was made."""
        last = self.last
        found = [case.seconds for case in self.cases if case.seconds is not None and case.after == last]
        return sum(found) / len(found) if found else None

    def values(self, unedited: Mapping[str, Mapping[str, float]], after: int | None = None) -> Values:
        """Return case → metric → value at a point, the last if none is given.

        Args:
            unedited: The unedited model's values by case, which stand for those of an edit that failed.
            after: The point.
        """
        point = self.last if after is None else after
        return {
            case.case: dict(unedited.get(case.case, {}) if case.error else case.values)
            for case in self.cases
            if case.after == point
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """All runs of a benchmark's folder.

    Attributes:
        folder: The folder.
        runs: Label → run, the unedited model's first.
    """

    folder: Path
    runs: Mapping[str, RunResult]

    def unedited(self) -> Values:
        """Return case → metric → value of the model as it is."""
        run = self.runs.get(UNEDITED)
        return run.values({}) if run is not None else {}

    def points(self, label: str) -> list[Point]:
        """Return a run summed up at each of its points."""
        run, unedited = self.runs[label], self.unedited()
        return [self._point(run, unedited, after) for after in sorted({case.after for case in run.cases})]

    def final(self, label: str) -> Point:
        """Return a run summed up at its last point."""
        run = self.runs[label]
        return self._point(run, self.unedited(), run.last)

    def _point(self, run: RunResult, unedited: Mapping[str, Mapping[str, float]], after: int) -> Point:
        here = [case for case in run.cases if case.after == after]
        values = run.values(unedited, after)
        return Point(
            after=after,
            n=len(here),
            failed=sum(case.error is not None for case in here),
            broken=sum(bool(case.broken) for case in here),
            metrics=summarize([values[case.case] for case in here]) if here else {},
        )

    def paired(self, first: str, second: str) -> dict[str, Paired]:
        """Return, metric by metric, by how much a run is above another over the cases that both have."""
        unedited = self.unedited()
        return compare_values(self.runs[first].values(unedited), self.runs[second].values(unedited))


def compare_values(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
) -> dict[str, Paired]:
    """Return metric → the first's values minus the second's, over the cases that have it in both."""
    pairs: dict[str, tuple[list[float], list[float]]] = {}
    for name in METRICS:
        shared = [case for case in first if name in first[case] and name in second.get(case, {})]
        if shared:
            pairs[name] = ([first[case][name] for case in shared], [second[case][name] for case in shared])
    return dict(zip(pairs, paired_each([*pairs.values()]), strict=True))


def read_bench(folder: Path) -> Bench:
    """Read all runs of a benchmark, or one run alone.

    Raises:
        DataError: If there is none, or a record is damaged.
    """
    folders = [folder] if (folder / "run.json").is_file() else sorted(path.parent for path in folder.glob("*/run.json"))
    runs = [read_run(path) for path in folders]
    if not runs:
        raise DataError(f"{folder} holds no run of a benchmark.", "Name a folder that 'obverse bench --out' wrote.")
    runs.sort(key=lambda run: (run.label != UNEDITED, run.order))
    return Bench(folder, {run.label: run for run in runs})


def read_run(folder: Path) -> RunResult:
    """Read the records of one run; of each only what tables need is kept, so memory does not grow with the texts.

    Raises:
        DataError: If the folder is no run of a benchmark, or a record is damaged.
    """
    try:
        told = json.loads((folder / "run.json").read_text("utf-8"))
        config, label = told["config"], told["label"]
        method = config["method"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is no run of a benchmark: {error!r}.", "Name a folder that 'obverse bench --out' wrote."
        ) from error
    cases = sorted(_cases(folder), key=lambda case: (case.after, case.place))
    order = (str(told.get("start", "")), int(told.get("order", 0)))
    return RunResult(label, method, folder, config, tuple(cases), order)


def _cases(folder: Path) -> Iterator[CaseResult]:
    for line in read_records(folder):
        record = cast("dict[str, Any]", line)
        error = record.get("error") or record.get("failed")
        seconds = record.get("seconds")
        yield CaseResult(
            case=str(record.get("case", record["id"])),
            values={name: float(value) for name, value in (record.get("values") or {}).items()},
            error=error["message"] if isinstance(error, dict) else None,
            broken=tuple(record.get("broken") or ()),
            seconds=seconds.get("edit") if isinstance(seconds, dict) else None,
            after=int(record.get("after", 0)),
            place=int(record.get("place", 0)),
        )


def write_summaries(bench: Bench) -> None:
    """Write each run's ``summary.json``, and one for all of them."""
    found = {label: summary(bench, label) for label in bench.runs}
    for label, one in found.items():
        _write(bench.runs[label].folder / "summary.json", one)
    if bench.folder not in (run.folder for run in bench.runs.values()):
        _write(bench.folder / "summary.json", {"runs": found})


def summary(bench: Bench, label: str) -> dict[str, Any]:
    """Return a run summed up as JSON values."""
    run, points = bench.runs[label], bench.points(label)
    final = points[-1] if points else Point(0, 0, 0, 0, {})
    told: dict[str, Any] = {
        "label": label,
        "method": run.method,
        "schedule": run.config["schedule"],
        **_plain(final),
        "seconds_per_edit": run.seconds,
    }
    if run.schedule == "sequential":
        told["points"] = [_plain(point) for point in points]
        told["collapsed_after"] = next((point.after for point in points if point.collapsed), None)
    return told


def _plain(point: Point) -> dict[str, Any]:
    metrics = {name: asdict(interval) for name, interval in point.metrics.items()}
    return {"after": point.after, "n": point.n, "failed": point.failed, "broken": point.broken, "metrics": metrics}


def _write(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda draft: draft.write_text(text, "utf-8"))
