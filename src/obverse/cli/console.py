"""Where a command talks: results on stdout, everything else on stderr; and how it ends."""

from __future__ import annotations

import functools
import json
import logging
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

DONE, BELOW, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; the result is below what was asked; a mistake of the user's; Ctrl-C."""


def results() -> Console:
    """Return the console for results; wide where nobody looks, so that lines are not broken in a pipe."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def notes() -> Console:
    """Return the console for progress, notes and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else 160, highlight=False, soft_wrap=True)


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["obverse", *sys.argv[1:]])


def print_json(value: object) -> None:
    """Print one JSON object on stdout, and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


class Bars:
    """Shows progress as bars with the time left, or as one line a step where stderr is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Any = None
        self._plain: dict[int, tuple[str, float]] = {}
        self._count = 0

    def start(self, label: str, total: float | None) -> int:
        """Begin a bar."""
        self._count += 1
        if not label:
            return -1
        if not self._console.is_terminal:
            self._console.print(f"{escape(label)} …")
            self._plain[self._count] = (label, time.monotonic())
            return self._count
        if self._bars is None:
            self._bars = _new_bars(self._console)
            self._bars.start()
        return self._bars.add_task(label, total=total, note="")

    def advance(self, handle: int, amount: float, note: str) -> None:
        """Move a bar on."""
        if handle >= 0 and self._bars is not None:
            self._bars.update(handle, advance=amount, **({"note": note} if note else {}))

    def finish(self, handle: int) -> None:
        """End a bar."""
        if handle in self._plain:
            label, began = self._plain.pop(handle)
            self._console.print(f"{escape(label)}: {time.monotonic() - began:.1f} s")
        elif handle >= 0 and self._bars is not None:
            self._bars.remove_task(handle)
            if not self._bars.tasks:
                self.close()

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def _new_bars(console: Console) -> Any:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import TaskProgressColumn as ShareColumn  # blank where the total is not known

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        ShareColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
    )


class _Notes(logging.Handler):
    """Prints the library's remarks on stderr."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one remark."""
        self._console.print(f"[yellow]Note:[/] {escape(record.getMessage())}")


def command(run: Callable[..., int | None]) -> Callable[..., None]:
    """Make a function a command: it shows progress, turns errors into messages, and returns its exit code."""

    @functools.wraps(run)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        console = notes()
        bars, handler, logger = Bars(console), _Notes(console), logging.getLogger("obverse")
        logger.addHandler(handler)
        try:
            code = _guarded(run, bars, console, *args, **kwargs)
        finally:
            bars.close()
            logger.removeHandler(handler)
        raise typer.Exit(code)

    return wrapped


def _guarded(run: Callable[..., int | None], bars: Bars, console: Console, *args: Any, **kwargs: Any) -> int:
    try:
        from obverse.core import ObverseError, reporting
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        with reporting(bars):
            return run(*args, **kwargs) or DONE
    except ObverseError as error:
        bars.close()
        console.print(f"[bold red]Error:[/] {escape(error.message)}")
        if error.hint:
            console.print(escape(error.hint))
        return USER_ERROR
    except KeyboardInterrupt:
        bars.close()
        console.print("Interrupted. Nothing half-written was left behind.")
        return INTERRUPTED
