"""``report.html`` of a training run, from what its folder holds; it can be written again at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obverse.core import DataError, read_records
from obverse.report.train_page import TrainedRun, write_train_page

PAGE = "report.html"
"""Name of the page in the run's folder."""


def write_train_report(folder: Path) -> Path:
    """Write the page of a finished run and return where.

    Raises:
        DataError: If the folder holds no finished training run, or a record is damaged.
        ObverseError: If the page cannot be written.
    """
    run = read_trained(folder)
    settings = run.about.get("config")
    return write_train_page(
        folder / PAGE,
        run,
        settings=settings,
        versions=run.about.get("versions", {}),
        seconds=run.summary["seconds"],
        command=run.about.get("command_line"),
    )


def read_trained(folder: Path) -> TrainedRun:
    """Read a finished run: its summary, its log, and the samples drawn first and last.

    Raises:
        DataError: If the folder holds no finished training run, or a record is damaged.
    """
    about, summary = (_read(folder / name) for name in ("run.json", "summary.json"))
    if about.get("command") != "train" or "plan" not in summary:
        raise DataError(f"{folder} holds no finished training run.", "Name a folder that 'obverse train' wrote.")
    return TrainedRun(summary, list(read_records(folder)), _samples(folder / "samples"), about)


def _read(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _samples(folder: Path) -> dict[str, dict[int, list[Mapping[str, Any]]]]:
    """Return scenario → step → texts, of the first measurement and of the last."""
    found: dict[str, dict[int, Path]] = {}
    for path in folder.glob("*.jsonl"):
        if name := re.fullmatch(r"(.+)-(\d+)", path.stem):
            found.setdefault(name[1], {})[int(name[2])] = path
    return {
        scenario: {
            step: [json.loads(line) for line in steps[step].read_text("utf-8").splitlines()]
            for step in sorted({min(steps), max(steps)})
        }
        for scenario, steps in sorted(found.items())
    }
