"""Progress of long work: shown by whoever runs the program, silent in a library."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Reporter(Protocol):
    """Something that shows how far a piece of work has come."""

    def start(self, label: str, total: float | None) -> int:
        """Begin a piece of work of ``total`` units (unknown if None); return its handle."""
        ...

    def advance(self, handle: int, amount: float, note: str) -> None:
        """Say that ``amount`` more units are done."""
        ...

    def finish(self, handle: int) -> None:
        """End the piece of work."""
        ...


_reporter: ContextVar[Reporter | None] = ContextVar("obverse_reporter", default=None)


@contextmanager
def reporting(reporter: Reporter) -> Generator[None]:
    """Show the progress of everything that runs inside with ``reporter``."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


class Progress:
    """A piece of work under way; a context manager. Silent unless inside `reporting`."""

    def __init__(self, label: str, total: float | None = None) -> None:
        self._reporter = _reporter.get()
        self._handle = self._reporter.start(label, total) if self._reporter else -1

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Say that ``amount`` more units are done; ``note`` is shown beside the bar."""
        if self._reporter:
            self._reporter.advance(self._handle, amount, note)

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the piece of work."""
        if self._reporter:
            self._reporter.finish(self._handle)


def track(items: Iterable[Item], label: str, total: float | None = None) -> Iterator[Item]:
    """Yield the items and report each as done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total) as progress:
        for item in items:
            yield item
            progress.advance()
