"""The tab Train & prefer: curves, samples and scores of a training run as it goes; tables of what was reproduced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.core import read_records
from obverse.recipes.reversal_run_report import all_sheets
from obverse.recipes.reversal_run_results import read_run
from obverse.report import bench_sheets
from obverse.workbench.run_folders import read_json, read_lines

HIDDEN = ("epoch", "grad_norm", "tokens_seen", "total_flos", "learning_rate")
"""What is logged but hardly looked at."""
_SAMPLES = re.compile(r"(?P<scenario>.+)-(?P<step>\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Curve:
    """A number over the steps of a run.

    Attributes:
        name: What it is, as it was logged.
        points: (step, value), in order.
    """

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Progressing:
    """A training run as far as it is.

    Attributes:
        step: The last step logged.
        steps: How many there will be; None if it does not say.
        finished: Whether it is over.
        curves: What was logged more than once.
        numbers: What was logged last, by name.
    """

    step: int
    steps: int | None
    finished: bool
    curves: tuple[Curve, ...]
    numbers: Mapping[str, float]


def is_training(folder: Path) -> bool:
    """Say whether a run is one of training."""
    return read_json(folder / "run.json").get("command") == "train"


def progress(folder: Path) -> Progressing:
    """Return how far a training run is; it may be under way.

    Raises:
        DataError: If a record is damaged.
    """
    values: dict[str, dict[int, float]] = {}
    step = 0
    for record in read_records(folder):
        at = record.get("step")
        if not isinstance(at, int):
            continue
        step = max(step, at)
        for name, value in record.items():
            if isinstance(value, float | int) and name != "step":
                values.setdefault(name, {})[at] = float(value)
    summary = read_json(folder / "summary.json")
    planned = summary.get("plan", {}).get("steps") or _planned(folder)
    curves = [
        Curve(name, tuple(sorted(points.items())))
        for name, points in values.items()
        if len(points) > 1 and name not in HIDDEN and not name.endswith(("_low", "_high"))
    ]
    last = {name: points[max(points)] for name, points in values.items()}
    return Progressing(step, planned, bool(summary), tuple(curves), last)


def _planned(folder: Path) -> int | None:
    config = read_json(folder / "run.json").get("config", {})
    steps = config.get("training", {}).get("max_steps")
    return int(steps) if isinstance(steps, int | float) and steps > 0 else None


@dataclass(frozen=True, slots=True)
class SampleFile:
    """Samples that were written at a step.

    Attributes:
        scenario: Name of the scenario.
        step: The step.
        path: The file.
    """

    scenario: str
    step: int
    path: Path


def sample_files(folder: Path) -> list[SampleFile]:
    """Return a training run's samples, the latest first."""
    found = [(path, _SAMPLES.fullmatch(path.name)) for path in (folder / "samples").glob("*.jsonl")]
    files = [SampleFile(match["scenario"], int(match["step"]), path) for path, match in found if match]
    return sorted(files, key=lambda file: (-file.step, file.scenario))


def samples(folder: Path, scenario: str, step: int, worst_first: bool = True) -> list[dict[str, Any]]:
    """Return samples with their scores; none if there are none of that scenario and step.

    Args:
        folder: The run.
        scenario: Name of the scenario.
        step: The step.
        worst_first: Whether to sort by score, the highest first; a higher score is a worse text.

    Raises:
        DataError: If the file is damaged.
    """
    for file in sample_files(folder):
        if (file.scenario, file.step) == (scenario, step):
            rows = read_lines(file.path)
            return sorted(rows, key=lambda row: -(row.get("score") or 0.0)) if worst_first else rows
    return []


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts.

    Attributes:
        title: What it shows.
        rows: Header → cell.
        note: What a reader must know.
    """

    title: str
    rows: tuple[Mapping[str, str], ...]
    note: str = ""


def has_tables(folder: Path) -> bool:
    """Say whether a run has tables: one of the reversal curse, or a reproduction."""
    return _is_reversal(folder) or isinstance(read_json(folder / "summary.json").get("tables"), list)


def _is_reversal(folder: Path) -> bool:
    return read_json(folder / "run.json").get("command") == "reversal run"


def tables(folder: Path) -> Sequence[Sheet]:
    """Return the verdicts and tables of a run; those of the reversal curse also while it is under way.

    Raises:
        DataError: If nothing was asked yet, or the files of the run do not belong together.
    """
    if _is_reversal(folder):
        return [_sheet(one) for one in all_sheets(read_run(folder))]
    summary = read_json(folder / "summary.json")
    verdicts = [
        {
            "claim": str(one.get("claim", "")),
            "statement": str(one.get("statement", "")),
            "verdict": str(one.get("outcome", "")),
            "found": _found(one.get("found", {})),
        }
        for one in summary.get("verdicts", ())
    ]
    note = "held, or did not hold: the whole 95 % interval is on one side of the bound; open: the bound lies inside."
    sheets = [Sheet("Verdicts", tuple(verdicts), note)] if verdicts else []
    for table in summary.get("tables", ()):
        rows = tuple({str(key): str(cell) for key, cell in row.items()} for row in table.get("rows", ()))
        sheets.append(Sheet(str(table.get("title", "")), rows, str(table.get("note", ""))))
    return sheets


def _sheet(found: bench_sheets.Sheet) -> Sheet:
    rows = tuple(dict(zip(found.head, map(_cell, row), strict=True)) for row in found.rows)
    return Sheet(found.title, rows, " ".join(found.legend))


def _cell(cell: bench_sheets.Cell) -> str:
    return f"{cell.text} ({cell.interval})" if cell.interval else cell.text


def _found(value: Mapping[str, Any]) -> str:
    if not {"mean", "low", "high", "n"} <= value.keys():
        return ""
    return f"{value['mean']:.3g} ({value['low']:.3g} to {value['high']:.3g}), n = {value['n']}"
