"""A scorer in a process of its own, so that a document on which it hangs or crashes costs that document alone."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from obverse.core import ObverseError
from obverse.data.segments import segments
from obverse.measuring.scorers import Scorer
from obverse.measuring.scorers.loading import load_scorer

Segments = Sequence[str]
_ByLines = Callable[[list[str]], list[list[float]]]

GROUP = 100_000
"""Characters scored at a time, at most; fewer after a time-out."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a document has no scores.

    Attributes:
        kind: What went wrong.
        reason: The same in a sentence.
    """

    kind: Literal["raised", "timed out", "died", "no number"]
    reason: str


Outcome = tuple[float, ...] | Failure
"""Scores of a document's segments, or why there are none."""


class GuardedScorer:
    """Scores documents in a process that is killed and replaced when it takes too long, and replaced when it dies.

    Documents are scored many at a time; where that fails each is tried alone, so that only those that fail alone are
    said to have failed. The process ends with this one.

    Args:
        name: The scorer, as `load_scorer` takes it.
        settings: Its settings.
        timeout: Seconds for a document; None for no limit. Loading is not counted.
    """

    def __init__(self, name: str, settings: Mapping[str, Any], timeout: float | None) -> None:
        self._name, self._settings, self._timeout = name, dict(settings), timeout
        self._size, self._closed = GROUP, False
        self._process: Any = None
        self._pipe: Any = None

    def __call__(self, documents: Sequence[Segments]) -> list[Outcome]:
        """Return the outcome of each document.

        Raises:
            ObverseError: If the scorer cannot be loaded.
        """
        return [outcome for group in self._groups(documents) for outcome in self._scored(group)]

    def close(self) -> None:
        """End the process, from any thread; what it was doing comes to nothing."""
        self._closed = True
        self._stop()

    def _stop(self) -> int | None:
        """Kill the process if it runs; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        process.join()
        return process.exitcode

    def _groups(self, documents: Sequence[Segments]) -> Iterator[list[Segments]]:
        group, size = list[Segments](), 0
        for document in documents:
            length = sum(map(len, document))
            if group and size + length > self._size:
                yield group
                group, size = [], 0
            group.append(document)
            size += length
        if group:
            yield group

    def _scored(self, group: list[Segments]) -> list[Outcome]:
        answer = self._ask(group)
        if isinstance(answer, list):
            self._size = min(GROUP, 2 * self._size)
            return answer
        if len(group) == 1:
            return [answer]
        self._size = max(1, self._size // 4)
        return [outcome for document in group for outcome in self._scored([document])]

    def _ask(self, group: list[Segments]) -> list[Outcome] | Failure:
        if self._closed:
            raise ObverseError("Scoring was stopped.")
        if self._process is None:
            self._start()
        try:
            self._pipe.send(group)
            if self._pipe.poll(self._timeout):
                return self._pipe.recv()
        except (EOFError, OSError):
            return Failure("died", f"The scorer's process ended with code {self._ended()}.")
        self._stop()
        return Failure("timed out", f"The scorer took longer than {self._timeout:g} s.")

    def _start(self) -> None:
        context = _context()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._name, self._settings), daemon=True)
        self._process.start()
        theirs.close()
        try:
            refusal = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ObverseError(
                f"The process of scorer {self._name!r} ended with code {self._ended()} as it started.",
                "See that it fits the memory: ask for fewer workers.",
            ) from error
        if refusal is not None:
            self._stop()
            raise ObverseError(*refusal)

    def _ended(self) -> int | None:
        """Return the exit code of a process that closed the pipe; a killed one says so a moment later."""
        if process := self._process:
            process.join(5)
        return self._stop()


def _context() -> Any:
    """Return how processes are started: from a server that has the heavy imports, where the system can."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _serve(pipe: Connection, name: str, settings: Mapping[str, Any]) -> None:
    """Score what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        scorer = load_scorer(name, settings)
    except ObverseError as error:
        pipe.send((error.message, error.hint))
        return
    pipe.send(None)
    while True:
        try:
            group = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcomes(scorer, group))


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _outcomes(scorer: Scorer, group: list[Segments]) -> list[Outcome] | Failure:
    """Score several documents by one call; lines within their document, where the scorer can and they are lines."""
    texts = [segment for document in group for segment in document]
    in_context: _ByLines | None = getattr(scorer, "score_lines", None)
    lines = {bool(in_context) and segments("".join(document), "lines") == tuple(document) for document in group}
    if len(lines) == 2:  # some are, some are not
        each = [_outcomes(scorer, [document]) for document in group]
        return [one if isinstance(one, Failure) else one[0] for one in each]
    try:
        if in_context and True in lines:
            found = in_context(["".join(document) for document in group])
            scores = [float(score) for lines in found for score in lines]
        else:
            scores = [float(score) for score in scorer.score(texts)]
    except Exception as error:  # anything a user's scorer raises is that document's failure, told and counted
        return Failure("raised", f"{type(error).__name__}: {error}")
    if len(scores) != len(texts):
        return Failure("no number", f"The scorer gave {len(scores)} scores for {len(texts)} texts.")
    left = iter(scores)
    return [_outcome(tuple(next(left) for _ in document)) for document in group]


def _outcome(scores: tuple[float, ...]) -> Outcome:
    bad = [place for place, score in enumerate(scores, start=1) if not math.isfinite(score)]
    if bad:
        return Failure("no number", f"Segment {bad[0]} of {len(scores)} could not be scored ({len(bad)} in all).")
    return scores
