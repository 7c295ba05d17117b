"""Where a report's runs come from: folders of benchmarks, single runs, and ROME's own result folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obverse.core import DataError, UnknownName
from obverse.recipes.bench.methods import UNEDITED
from obverse.recipes.bench.results import Bench, RunResult, Values, read_bench, read_run
from obverse.recipes.bench.rome_folders import is_rome_folder, rome_bench, rome_printed
from obverse.verifying import rome_runs


@dataclass(frozen=True, slots=True)
class Source:
    """A run of a report.

    Attributes:
        label: Its name there, unique.
        bench: The benchmark it is of, with the unedited run if it is known.
        key: Its label in the benchmark.
        printed: What ROME's program prints of it, if it is one of its runs.
    """

    label: str
    bench: Bench
    key: str
    printed: Mapping[str, tuple[float, float]]

    @property
    def run(self) -> RunResult:
        """The run."""
        return self.bench.runs[self.key]

    @property
    def baseline(self) -> bool:
        """Whether it is the unedited model's."""
        return self.key == UNEDITED

    @property
    def of_rome(self) -> bool:
        """Whether it is a run of ROME's program."""
        return self.run.config.get("program") == "ROME"

    def values(self) -> Values:
        """Return case → metric → value at its last point."""
        return self.run.values(self.bench.unedited())


def read_benches(folder: Path) -> list[Bench]:
    """Read what is in a folder: a benchmark, one run of it with its unedited model, or runs of ROME's program.

    Raises:
        DataError: If it holds none of these, or a record is damaged.
        UnknownName: If there is no such folder.
    """
    if not folder.is_dir() or is_rome_folder(folder):
        return [rome_bench(run) for run in rome_runs(folder)]
    bench = read_bench(folder)
    return [with_unedited(bench)]


def with_unedited(bench: Bench) -> Bench:
    """Return a benchmark with the unedited run of the folder around it, where it lacks one of the same cases."""
    beside = bench.folder.parent / UNEDITED
    if UNEDITED in bench.runs or not (beside / "run.json").is_file():
        return bench
    unedited = read_run(beside)
    same = all(_asked(run) == _asked(unedited) for run in bench.runs.values())
    return replace(bench, runs={UNEDITED: unedited, **bench.runs}) if same else bench


def _asked(run: RunResult) -> tuple[object, ...]:
    return run.config.get("model"), run.config.get("measure"), (run.config.get("dataset") or {}).get("digest")


def sources(benches: Sequence[Bench]) -> list[Source]:
    """Return the runs of some benchmarks, unedited models first, each under a name of its own.

    Equal unedited runs are taken once. Where names clash, the folder's name is put before them.
    """
    found: list[tuple[Bench, str]] = []
    baselines: list[Values] = []
    for bench in benches:
        for key in bench.runs:
            if key == UNEDITED and len(benches) > 1:
                if (values := bench.unedited()) in baselines:
                    continue
                baselines.append(values)
            found.append((bench, key))
    found.sort(key=lambda one: one[1] != UNEDITED)
    keys = [key for _, key in found]
    printed = {bench.folder: rome_printed(bench.folder) for bench, _ in found if _of_rome(bench)}
    out: list[Source] = []
    for bench, key in found:
        label = key if keys.count(key) == 1 else f"{bench.folder.resolve().name}/{key}"
        taken = {one.label for one in out}
        if label in taken:  # folders of one name
            label = next(f"{label} ({n})" for n in range(2, len(found) + 2) if f"{label} ({n})" not in taken)
        told = printed.get(bench.folder, {}).get("pre" if key == UNEDITED else "post", {})
        out.append(Source(label, bench, key, told))
    return out


def _of_rome(bench: Bench) -> bool:
    return any(run.config.get("program") == "ROME" for run in bench.runs.values())


def find(found: Sequence[Source], label: str) -> Source:
    """Return the run of a name.

    Raises:
        UnknownName: If there is none.
    """
    for one in found:
        if one.label == label:
            return one
    raise UnknownName.among("run", label, [one.label for one in found])


def one_run(folder: Path, label: str | None = None) -> Source:
    """Read one run: of a run's folder itself, or by its name in a benchmark's folder; by default its only editor.

    Raises:
        DataError: If there are several and none is named.
        UnknownName: If there is no run of the name.
    """
    found = sources(read_benches(folder))
    if (folder / "run.json").is_file() and label is None:
        own = read_run(folder).label
        return find(found, own)
    if label is not None:
        return find(found, label)
    edited = [one for one in found if not one.baseline]
    if len(edited) != 1:
        names = ", ".join(one.label for one in found)
        raise DataError(
            f"{folder} holds {len(edited)} runs of editors: {names}.",
            "Name one with --run, or give a run's own folder.",
        )
    return edited[0]


def about(source: Source) -> Mapping[str, Any]:
    """Return what a run's ``run.json`` says; nothing for ROME's."""
    path = source.run.folder / "run.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
