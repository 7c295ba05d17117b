"""Commands read by the real command line, and stopped before they do anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import typer
from typer.main import get_command

ELLIPSIS = "..."


@dataclass(frozen=True)
class Parsed:
    """The command that would run, e.g. ``("bench", "report")``, and its arguments."""

    name: tuple[str, ...]
    values: dict[str, Any]


class _Recorder:
    """The command line with commands that note their arguments and do nothing; making it takes a second."""

    def __init__(self) -> None:
        from obverse.cli.main import app

        self.seen: list[Parsed] = []
        self.tree: Any = get_command(app)
        self._replace(self.tree, ())

    def _replace(self, command: Any, name: tuple[str, ...]) -> None:
        command.callback = lambda **values: self.seen.append(Parsed(name, values))
        for part, inner in getattr(command, "commands", {}).items():
            self._replace(inner, (*name, part))


_recorder = cache(_Recorder)


def parse(words: list[str]) -> Parsed:
    """Return what ``obverse WORDS`` would run; ``...`` stands for what is left out.

    Raises:
        Exception: Of typer, if there is no such command or option, or a value is wrong.
    """
    recorder, given = _recorder(), [word for word in words if word != ELLIPSIS]
    try:
        recorder.tree.main(given, "obverse", standalone_mode=False)
    except typer.TyperException as error:
        if ELLIPSIS not in words or type(error).__name__ not in ("MissingParameter", "NoArgsIsHelpError"):
            raise
        return Parsed(tuple(given[:1]), {})
    return recorder.seen[-1]
