"""A run on disk: a folder of records that grows case by case, and goes on where it was stopped.

::

    run.json               format, resolved settings, and what is worth knowing about the run (versions, machine, start)
    records.00000.jsonl    one line a case, flushed each line; a file a shard
    summary.json           what came of it; written by `Run.finish`

A killed run loses the line that was being written, nothing else. Shards write files of their own, so they need no lock
between them; two processes on one shard are refused.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import cast

from obverse.core.errors import ConfigError, DataError, RunConflict
from obverse.core.storage import storage_errors, write_text
from obverse.core.types import JsonValue

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the folder's layout; a reader refuses a newer one."""

Record = Mapping[str, JsonValue]
"""What is kept of a case; its ``id`` is a text."""


class Run:
    """A folder of records, open for one process; a context manager.

    Example:
        ::

            with Run.open(Path("runs/one"), {"model": "gpt2"}) as run:
                for id in run.todo(ids):
                    run.append({"id": id, "score": measure(id)})
                run.finish({"mean": ...})

    Attributes:
        folder: The folder.
        shard: (i, n): this process does every n-th case, from the i-th, counted from 0.
        resumed: Whether the folder was there before.
    """

    def __init__(self, folder: Path, shard: tuple[int, int], file: FileIO, *, resumed: bool) -> None:
        self.folder = folder
        self.shard = shard
        self.resumed = resumed
        self._file = file
        self._done = {cast("str", record["id"]) for record in read_records(folder)}

    @classmethod
    def open(
        cls,
        folder: Path,
        config: JsonValue,
        *,
        about: Record | None = None,
        resume: bool = True,
        replace: bool = False,
        shard: tuple[int, int] = (0, 1),
    ) -> Run:
        """Begin a run, or go on with one of the same settings.

        Args:
            folder: Its folder; new, empty, or that of an earlier run.
            config: Everything that a record depends on, resolved.
            about: What else to keep in ``run.json``; not compared.
            resume: Whether to go on with an earlier run.
            replace: Whether to delete an earlier run, with all its files, and begin anew; shards cannot.
            shard: (i, n), see `Run`.

        Raises:
            RunConflict: If the earlier run has other settings (all that differ are named), may not be gone on with, is
                being written by another process, or the folder is no run's.
            ConfigError: If there is no such shard, or a shard is to replace the run.
            DataError: If ``run.json`` or a record is damaged.
        """
        _check_shard(shard, replace)
        config = json.loads(json.dumps(config))  # as it will be read again: lists for tuples
        if folder.is_file():
            raise RunConflict(f"{folder} is a file, where a folder is to stand.", "Choose another folder.")
        if replace and _is_run(folder):
            _remove(folder)
        resumed = _is_run(folder)
        if resumed:
            _check_same(folder, config, resume)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not resumed:
                record: JsonValue = {"obverse_run": FORMAT, "config": config, **(about or {})}
                _write_json(folder / "run.json", record)
            file = _locked(folder / f"records.{shard[0]:05d}.jsonl")
        try:
            _drop_half_line(file)
            return cls(folder, shard, file, resumed=resumed)
        except BaseException:
            file.close()
            raise

    def done(self) -> set[str]:
        """Return the ids of all records, those that other shards had written when this one was opened included."""
        return set(self._done)

    def todo(self, ids: Iterable[str]) -> list[str]:
        """Return those of a data set's ids that are this shard's and not done yet, in order.

        Args:
            ids: All ids of the data set, in the same order in every shard.
        """
        i, n = self.shard
        return [id for place, id in enumerate(ids) if place % n == i and id not in self._done]

    def append(self, record: Record) -> None:
        """Add the record of a case, flushed to the file as a line of its own.

        Args:
            record: JSON values, finite numbers only; its ``id`` is a text that no other record has.

        Raises:
            DataError: If it is another thing.
        """
        id = record.get("id")
        if not isinstance(id, str) or id in self._done:
            raise DataError(
                f"A record needs an 'id' that is a text and new to the run; given was {id!r}.", "Name each case once."
            )
        try:
            rest = memoryview((json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode())
        except (TypeError, ValueError) as error:
            raise DataError(f"The record of {id!r} cannot be written: {error}.", "Give finite JSON values.") from error
        try:
            with storage_errors(self.folder):
                while rest:  # a full disk takes a part first, and complains at the next
                    rest = rest[self._file.write(rest) :]
        except BaseException:
            self.close()  # nothing may follow half a line; the next to open the run drops it
            raise
        self._done.add(id)

    def records(self) -> list[Record]:
        """Return the records of all shards, as they are on disk now."""
        return list(read_records(self.folder))

    def finish(self, summary: JsonValue) -> None:
        """Write ``summary.json``; of several shards the last one to finish writes what stands."""
        _write_json(self.folder / "summary.json", summary)

    def close(self) -> None:
        """Let another process write to the shard."""
        self._file.close()

    def __enter__(self) -> Run:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the run; what was appended stays."""
        self.close()


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the records of a run, shard by shard, while it runs or later; a half last line is left out.

    Raises:
        DataError: If a whole line is no record, with its place.
    """
    for path in sorted(folder.glob("records.*.jsonl")):
        *lines, _ = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            yield _record(f"{path}, line {number}", line)


def _record(place: str, line: bytes) -> Record:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{place}: not valid JSON ({error}).", "Mend or delete the line; its case is redone."
        ) from error
    if not isinstance(found, dict) or not isinstance(cast("Record", found).get("id"), str):
        raise DataError(f"{place}: no record with an 'id'.", "Mend or delete the line; its case is redone.")
    return cast("Record", found)


def _check_shard(shard: tuple[int, int], replace: bool) -> None:
    i, n = shard
    if not 0 <= i < n:
        raise ConfigError(f"There is no shard {i} of {n}.", f"Shards count from 0: 0/{max(n, 1)} is the first.")
    if replace and n > 1:
        raise ConfigError(
            "A shard may not replace a run: it would delete what the others wrote.",
            "Remove the folder before the shards start.",
        )


def _is_run(folder: Path) -> bool:
    """Say whether a folder holds a run; refuse one that holds something else."""
    path = folder / "run.json"
    if path.is_file():
        if "obverse_run" not in _about(folder):
            raise RunConflict(f"{path} is not that of a run of obverse's.", "Choose another folder.")
        return True
    if folder.is_dir() and any(not found.name.startswith(".run.json.") for found in folder.iterdir()):
        raise RunConflict(f"{folder} holds files but no run (it has no run.json).", "Choose another folder.")
    return False


def _about(folder: Path) -> Record:
    try:
        found = json.loads((folder / "run.json").read_bytes())
    except ValueError:
        return {}
    return cast("Record", found) if isinstance(found, dict) else {}


def _check_same(folder: Path, config: JsonValue, resume: bool) -> None:
    if not resume:
        raise RunConflict(
            f"{folder} holds a run already.", "Go on with it, choose another folder, or say that it may be replaced."
        )
    about = _about(folder)
    if about["obverse_run"] != FORMAT:
        raise RunConflict(
            f"{folder} is a run of format {about['obverse_run']}; this version writes format {FORMAT}.",
            "Choose another folder, or say that it may be replaced.",
        )
    differing = list(_differences(config, about.get("config")))
    if differing:
        raise RunConflict(
            "\n  ".join([f"The run in {folder} was made with other settings:", *differing]),
            "Give the stored settings to go on with it, choose another folder, or say that it may be replaced.",
        )


def _differences(given: JsonValue, stored: JsonValue, key: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(stored, dict):
        for name in sorted({*given, *stored}):  # a setting that is absent counts as null
            yield from _differences(given.get(name), stored.get(name), f"{key}.{name}" if key else name)
    elif given != stored:
        ours, theirs = (json.dumps(value, ensure_ascii=False) for value in (given, stored))
        yield f"{key or 'settings'}: {ours} given, {theirs} stored"


def _remove(folder: Path) -> None:
    """Delete a run's folder, unless a process is writing to it."""
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    with storage_errors(folder):
        for path in folder.glob("records.*.jsonl"):
            _locked(path).close()
        folder.rename(old)  # so that a stop half-way leaves no half run in its place
        shutil.rmtree(old)


def _locked(path: Path) -> FileIO:
    """Open a file to append to; refuse if another process has it open so. The lock ends with the process."""
    file = FileIO(path, "a+")
    if sys.platform == "win32":  # it has no such locks
        return file
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise RunConflict(
            f"Another process is writing to {path}.", "Wait for it, stop it, or choose another folder."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        log.warning("The file system of %s knows no locks: see that only one process writes there.", path)
    return file


def _drop_half_line(file: FileIO) -> None:
    file.seek(0)
    file.truncate(file.readall().rfind(b"\n") + 1)


def _write_json(path: Path, value: JsonValue) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
