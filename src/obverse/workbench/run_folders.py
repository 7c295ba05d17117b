"""The folders of runs that the page may look at: those under one folder, and nothing outside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.core import DataError, UnknownName, whole_folder

MARKS = ("run.json", "edit.json", "obverse.json", "summary.json")
"""A folder with one of these files is a run's, or an edit's."""
DEEP = 4
"""Levels below the folder of runs that are looked through."""
MOST = 1000
"""Runs that are listed at most."""
_PASSED_OVER = ("checkpoints", "samples", "cases", "figures")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run in a line.

    Attributes:
        name: Its path below the folder of runs.
        kind: The command that made it, e.g. ``edit``, ``train``, ``bench``; ``run`` if it does not say.
        model: Name of the model, if it says.
        start: When it began, if it says.
        finished: Whether its results are there.
    """

    name: str
    kind: str
    model: str
    start: str
    finished: bool


class RunFolders:
    """All runs below a folder.

    Args:
        root: The folder; need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: object) -> Path:
        """Return the folder of a run.

        Raises:
            UnknownName: If there is none of that name below the root; a path that leads out of it is no name.
        """
        root = self.root.resolve()
        folder = (root / name).resolve() if isinstance(name, str) and name and "\0" not in name else root
        if folder == root or not folder.is_relative_to(root) or not _is_run(folder):
            raise UnknownName.among("run", str(name), [info.name for info in self.list()][:20])
        return folder

    def list(self, find: str = "", kind: str = "") -> list[RunInfo]:
        """Return runs, the latest first.

        Args:
            find: Words that must stand in name, kind or model, in any case.
            kind: The kind they must have; any if empty.
        """
        found = [info_of(folder, folder.relative_to(self.root).as_posix()) for folder in _runs(self.root, DEEP)]
        words = find.casefold().split()
        found = [
            one
            for one in found[:MOST]
            if kind in ("", one.kind) and all(word in f"{one.name} {one.kind} {one.model}".casefold() for word in words)
        ]
        return sorted(found, key=lambda one: (one.start, one.name), reverse=True)

    def add(self, folder: Path, name: str) -> Path:
        """Copy a folder to the runs, under a name with a number behind where it is taken, and return where."""
        self.root.mkdir(parents=True, exist_ok=True)
        names = (name if i == 1 else f"{name}-{i}" for i in range(1, 10**6))
        out = next(path for each in names if not (path := self.root / each).exists())
        with whole_folder(out) as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
        return out


def _runs(folder: Path, deep: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for one in sorted(folder.iterdir()):
        if one.name.startswith(".") or one.name in _PASSED_OVER or one.is_symlink() or not one.is_dir():
            continue
        if _is_run(one):
            yield one
        if deep > 1:
            yield from _runs(one, deep - 1)


def _is_run(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in MARKS)


def info_of(folder: Path, name: str) -> RunInfo:
    """Return what a folder says of itself, or its first run where it is one of several; damaged files say nothing."""
    first = next((one for one in (folder, *_runs(folder, 1)) if (one / "run.json").is_file()), folder)
    about = read_json(first / "run.json")
    config = about.get("config")
    config = config if isinstance(config, dict) else {}
    model = about.get("model") or config.get("model") or read_json(folder / "edit.json").get("base_name", "")
    return RunInfo(
        name,
        kind=_kind(folder, about, config),
        model=str(model.get("name") or "") if isinstance(model, dict) else str(model or ""),
        start=str(about.get("start") or ""),
        finished=any((folder / mark).is_file() for mark in ("summary.json", "edit.json", "report.html")),
    )


def _kind(folder: Path, about: dict[str, Any], config: dict[str, Any]) -> str:
    for command in (about.get("command"), config.get("command")):
        if isinstance(command, str) and command:
            return command
    if "benchmark" in config:
        return "bench"
    if (folder / "edit.json").is_file():
        return "edit"
    return "prefs" if "scenarios" in config else "run"


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it is absent, being written, or no object."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSONL file; a half last line is left out.

    Raises:
        DataError: If a whole line is no JSON object.
    """
    *whole, _ = path.read_text("utf-8").split("\n")
    try:
        found = [json.loads(line) for line in whole if line.strip()]
    except ValueError as error:
        raise DataError(f"{path.name} is damaged: {error}.", "Mend or delete the line.") from error
    return [one for one in found if isinstance(one, dict)]
