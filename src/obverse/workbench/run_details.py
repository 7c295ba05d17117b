"""What a run holds: numbers, settings and records, one run or two side by side; and all of it to take home."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from obverse.core import read_records
from obverse.workbench.run_folders import read_json, read_lines

LARGE = 64 << 20
"""Bytes above which a file is not exported: weights of models."""
_INTERVAL = {"mean", "low", "high", "n"}


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a run's results.

    Attributes:
        value: It, or the mean.
        low: Lower end of the 95 % interval; None if there is none.
        high: Upper end.
        n: How many values the mean is of.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def numbers(folder: Path) -> dict[str, Number]:
    """Return the numbers of a run's results by their dotted names, as far as there are any."""
    summary = read_json(folder / "summary.json") or read_json(folder / "edit.json").get("verification") or {}
    left_out = ("plan", "seconds", "versions", "verdicts", "tables")
    return dict(_numbers({key: value for key, value in summary.items() if key not in left_out}))


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, Number]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield name, Number(float(value))
    elif isinstance(value, dict) and value.keys() >= _INTERVAL:
        if isinstance(value["mean"], int | float):
            yield name, Number(value["mean"], value["low"], value["high"], value["n"])
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}.{key}" if name else str(key))


def settings(folder: Path) -> dict[str, str]:
    """Return the settings of a run by their dotted names, as JSON texts."""
    config = read_json(folder / "run.json").get("config")
    if not isinstance(config, dict):
        record = read_json(folder / "edit.json")
        config = {key: record[key] for key in ("method", "config", "facts") if key in record}
    return dict(_leaves(config))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        numbers: By name: that of the first, that of the second; None where it has none.
        settings: Those that differ, the same way.
        same: How many settings are equal.
    """

    numbers: Mapping[str, tuple[Number | None, Number | None]]
    settings: Mapping[str, tuple[str | None, str | None]]
    same: int


def compare(first: Path, second: Path) -> Comparison:
    """Compare the results and the settings of two runs."""
    ours, theirs = numbers(first), numbers(second)
    before, after = settings(first), settings(second)
    both = dict.fromkeys([*before, *after])
    differing = {name: (before.get(name), after.get(name)) for name in both if before.get(name) != after.get(name)}
    return Comparison(
        {name: (ours.get(name), theirs.get(name)) for name in dict.fromkeys([*ours, *theirs])},
        differing,
        len(both) - len(differing),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a run.

    Attributes:
        records: Those of the page.
        number: Number of the page, from 1.
        pages: How many there are; at least 1.
        found: Records that fit.
        all: Records of the run.
    """

    records: tuple[Mapping[str, Any], ...]
    number: int
    pages: int
    found: int
    all: int


def records(folder: Path, find: str = "", number: int = 1, size: int = 20) -> Page:
    """Return a page of a run's records, or of the cases of an edit.

    Args:
        folder: The run.
        find: Words that must stand in a record, in any case.
        number: Number of the page, from 1; the last one if it is beyond.
        size: Records on a page.

    Raises:
        DataError: If a record is damaged, with its place.
    """
    every = list(_records(folder))
    words = find.casefold().split()
    fitting = [one for one in every if not words or _holds(one, words)]
    pages = max(1, -(-len(fitting) // size))
    number = min(max(number, 1), pages)
    shown = fitting[(number - 1) * size : number * size]
    return Page(tuple(shown), number, pages, len(fitting), len(every))


def _records(folder: Path) -> Iterator[Mapping[str, Any]]:
    if any(folder.glob("records.*.jsonl")):
        yield from read_records(folder)
    elif (folder / "samples.jsonl").is_file():
        yield from ({"id": str(i), **one} for i, one in enumerate(read_lines(folder / "samples.jsonl")))
    else:
        report = read_json(folder / "report.json").get("report")
        yield from (report or {}).get("cases", ())


def _holds(record: Mapping[str, Any], words: list[str]) -> bool:
    text = json.dumps(record, ensure_ascii=False).casefold()
    return all(word in text for word in words)


def export(folder: Path, into: Path) -> tuple[Path, list[str]]:
    """Return a run as a zip, and what is not in it: checkpoints, large files (weights of models) and links.

    Args:
        folder: The run.
        into: Where the zip is made, in a new folder.
    """
    place = Path(mkdtemp(dir=into))
    root, left_out = folder.resolve(), list[str]()

    def ignored(where: str, names: list[str]) -> set[str]:
        paths = [Path(where) / name for name in names]
        large = [path for path in paths if path.is_symlink() or (path.is_file() and path.stat().st_size > LARGE)]
        large += [path for path in paths if path.name == "checkpoints" and path.is_dir()]
        left_out.extend(path.resolve().name if path.is_symlink() else str(path.relative_to(root)) for path in large)
        return {path.name for path in large}

    shutil.copytree(root, place / root.name, ignore=ignored)
    return Path(shutil.make_archive(str(place / root.name), "zip", place, root.name)), left_out
