"""Rows of tokens in a folder, written once as they come, then read by memory map.

::

    rows.json        what is in it
    ids.bin          tokens of all rows, one after the other: uint16, or uint32 for a large vocabulary
    scores.bin       float32 a token
    starts.bin       int64 a row and one more: where each begins
    components.bin   int8 a row: part of a mixture that it is for, -1 for any
    spans.bin        3 int64 an entity: row, start, end
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obverse.core import DataError, storage_errors
from obverse.training.encoding import Tokens
from obverse.training.example import Example

if TYPE_CHECKING:
    from obverse.training.packing import PackSettings

_AT_ONCE = 64
"""Rows that are cut at a time."""


@dataclass(slots=True)
class RowCounts:
    """What was read and written.

    Attributes:
        documents: Documents read.
        empty: Those with nothing in them.
        skipped: Those passed over, at the start of the corpus.
        dropped: Those that the objective dropped.
        tokens: Tokens in the rows, and of what did not fill one.
        left_over: Tokens that did not fill a row, or stood beyond its end.
        rows: Rows written.
    """

    documents: int = 0
    empty: int = 0
    skipped: int = 0
    dropped: int = 0
    tokens: int = 0
    left_over: int = 0
    rows: int = 0


class Rows:
    """The rows of a packed corpus.

    Attributes:
        folder: Where they are.
        counts: What they were made of.
        components: Part of a mixture that each row is for, -1 for any; int8, (rows,).

    Raises:
        DataError: If the folder holds something else, or a file of it is cut short.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            about = json.loads((folder / "rows.json").read_bytes())
            self.counts = RowCounts(**about["counts"])
            tokens = self.counts.tokens - self.counts.left_over
            self._ids = _mapped(folder / "ids.bin", about["ids"], tokens)
            self._scores = _mapped(folder / "scores.bin", "float32", tokens)
            self._starts = _mapped(folder / "starts.bin", "int64", self.counts.rows + 1)
            self.components = _mapped(folder / "components.bin", "int8", self.counts.rows)
            self._spans = _mapped(folder / "spans.bin", "int64", 3 * about["spans"]).reshape(-1, 3)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder} does not hold the rows of a corpus: {error}.", "Delete the folder; it is made again."
            ) from error

    def __len__(self) -> int:
        return self.counts.rows

    def __getitem__(self, row: int) -> Example:
        """Return a row, each token the label of the one before it."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        start, end = int(self._starts[row]), int(self._starts[row + 1])
        example = Example.of(self._ids[start:end], self._scores[start:end])
        if not len(self._spans):
            return example
        first, last = np.searchsorted(self._spans[:, 0], (row, row + 1))
        return replace(example, spans=tuple((s, e) for _, s, e in self._spans[first:last].tolist()))


def _mapped(path: Path, kind: str, count: int) -> np.ndarray:
    if path.stat().st_size != count * np.dtype(kind).itemsize:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes for {count:,} values of {kind}")
    if not count:
        return np.zeros(0, kind)
    return np.memmap(path, kind, "r", shape=(count,)).view(np.ndarray)  # a plain view: a memmap is slow to index


class RowWriter:
    """Cuts tokens into rows and appends them to the files of a folder; a context manager.

    Args:
        folder: An empty folder.
        settings: Length of a row, and whether documents are joined.
        vocabulary: Token ids are below it.
    """

    def __init__(self, folder: Path, settings: PackSettings, vocabulary: int) -> None:
        self.counts = RowCounts()
        self._folder, self._length, self._joined = folder, settings.length, settings.packing == "blocks"
        self._kind = "uint16" if vocabulary <= 1 << 16 else "uint32"
        self._position, self._spans = 0, 0
        self._pending: dict[int, list[Tokens]] = {}
        self._waiting: dict[int, int] = {}

    def __enter__(self) -> RowWriter:
        """Open the files."""
        self._stack = ExitStack()
        names = ("ids", "scores", "starts", "components", "spans")
        self._files: dict[str, Any] = {
            name: self._stack.enter_context((self._folder / f"{name}.bin").open("wb")) for name in names
        }
        self._write("starts", np.zeros(1), "int64")
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the files; say what is in them if nothing went wrong."""
        self._stack.close()
        if failure[0] is None:
            about = {"ids": self._kind, "spans": self._spans, "counts": asdict(self.counts)}
            (self._folder / "rows.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")

    def add(self, tokens: Tokens, component: int) -> None:
        """Append a document."""
        if not len(tokens.ids):
            return
        self.counts.tokens += len(tokens.ids)
        if not self._joined:
            self.counts.left_over += max(0, len(tokens.ids) - self._length)
            self._append(tokens, component, min(len(tokens.ids), self._length), 1)
            return
        self._pending.setdefault(component, []).append(tokens)
        self._waiting[component] = self._waiting.get(component, 0) + len(tokens.ids)
        if self._waiting[component] >= _AT_ONCE * self._length:
            self._cut(component)

    def drop_remainder(self) -> None:
        """Write the rows that are full, and forget what is left."""
        for component in [*self._pending]:
            self._cut(component)
            self.counts.left_over += self._waiting.pop(component)
            del self._pending[component]

    def _cut(self, component: int) -> None:
        joined = _join(self._pending[component])
        rows, left = divmod(len(joined.ids), self._length)
        self._append(joined, component, self._length, rows)
        cut = rows * self._length
        spans = tuple((start - cut, end - cut) for start, end in joined.spans if start >= cut)
        self._pending[component] = [Tokens(joined.ids[cut:], joined.scores[cut:], spans)]
        self._waiting[component] = left

    def _append(self, tokens: Tokens, component: int, length: int, rows: int) -> None:
        """Append rows of one length; an entity that is cut by the end of a row is left out."""
        total, first = rows * length, self.counts.rows
        self._write("ids", tokens.ids[:total], self._kind)
        self._write("scores", tokens.scores[:total], "float32")
        self._write("starts", self._position + length * np.arange(1, rows + 1), "int64")
        self._write("components", np.full(rows, component), "int8")
        whole = [
            (first + start // length, start % length, start % length + end - start)
            for start, end in tokens.spans
            if end <= total and start // length == (end - 1) // length
        ]
        self._write("spans", np.asarray(whole), "int64")
        self._spans += len(whole)
        self._position += total
        self.counts.rows += rows

    def _write(self, name: str, values: np.ndarray, kind: str) -> None:
        self._files[name].write(values.astype(kind).tobytes())


def _join(parts: list[Tokens]) -> Tokens:
    spans, place = list[tuple[int, int]](), 0
    for part in parts:
        spans += ((start + place, end + place) for start, end in part.spans)
        place += len(part.ids)
    return Tokens(np.concatenate([p.ids for p in parts]), np.concatenate([p.scores for p in parts]), tuple(spans))


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Wait until no other process makes a folder, then keep others waiting; clear what a killed one left."""
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("wb") as file:
            if _locked(file):
                for draft in folder.parent.glob(f".{folder.name}.*.part"):
                    shutil.rmtree(draft, ignore_errors=True)
            yield


def _locked(file: Any) -> bool:
    if sys.platform == "win32":  # it has no such locks: two processes would make the same folder twice
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        return False
    return True
