"""The loop of ``obverse edit --interactive``: type a question, read the answer with and without the edit."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.answers import Session

COMMANDS = {
    "exit": "end (as Ctrl-D does)",
    "/raw": "leave the template out, or put it in again",
    "/off": "switch the edit off: answers of the unedited model alone",
    "/on": "switch it on again: both answers",
    "/help": "show this",
}


def converse(console: Console, session: Session) -> None:
    """Answer lines from standard input until ``exit`` or its end.

    Args:
        console: Where the answers go.
        session: The model with the edit.

    Raises:
        DataError: If a line is not UTF-8.
    """
    from obverse.cli.tables import grid
    from obverse.core import ObverseError

    console.print("\nAsk the edited model; the unedited one answers beside it.")
    console.print(grid(list(COMMANDS.items())))
    raw, on = False, True
    for line in _lines(console):
        match line:
            case "exit" | "quit" | "/exit" | "/quit":
                return
            case "/raw":
                raw = not raw
                console.print(f"[dim]the template is {'out' if raw else 'in'}[/]")
            case "/off" | "/on":
                on = line == "/on"
                console.print(f"[dim]the edit is {'on' if on else 'off'}[/]")
            case _ if line.startswith("/") and line[1:].isalpha():
                if line != "/help":
                    console.print(f"There is no command {escape(line)}.")
                console.print(grid(list(COMMANDS.items())))
            case _:
                try:
                    rows = [("edited", session.edited(line, raw=raw))] if on else []
                    rows.append(("unedited", session.unedited(line, raw=raw)))
                except ObverseError as error:
                    console.print(f"[bold red]Error:[/] {escape(error.message)} {escape(error.hint)}")
                    continue
                console.print(grid([(name, " ".join(answer.split())) for name, answer in rows]))


def _lines(console: Console) -> Iterator[str]:
    """Yield the lines typed, or piped, which are shown too; blank ones are passed over."""
    from obverse.core import DataError

    typed = sys.stdin.isatty()
    if typed:
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # arrow keys and history
    while True:
        try:
            line = input("\n> " if typed else "").strip()
        except EOFError:
            return
        except UnicodeDecodeError as error:
            raise DataError(
                "What was piped in is not UTF-8. The edit is saved.", "Convert the questions to UTF-8."
            ) from error
        if line and not typed:
            console.print(f"\n> {line}", markup=False, soft_wrap=True)
        if line:
            yield line
