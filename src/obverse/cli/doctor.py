"""``obverse doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.console import BELOW, DONE, command, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.doctor_result import Diagnosis

_MARKS = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "fault": "[bold red]✗[/]"}


@command
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Leave the network alone.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that an address may take to answer.")] = 3.0,
    json: options.Json = False,
) -> int:
    """Look whether everything is there: versions, extras, devices, cache, disk, network.

    Says what is missing and the command that adds it. Ends with 1 if something is found without which nothing works.
    Changes nothing and loads no model; of the network it asks the model hub for a sign of life, and lets pip fetch one
    package of 30 kB.
    """
    from obverse.recipes.doctor import run_doctor

    found = run_doctor(offline=offline, timeout=timeout)
    if json:
        print_json(found.to_json())
    else:
        _print(results(), found)
    return DONE if found.healthy else BELOW


def _print(console: Console, found: Diagnosis) -> None:
    from rich.markup import escape
    from rich.table import Table

    for group in dict.fromkeys(check.group for check in found.checks):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for check in (check for check in found.checks if check.group == group):
            hint = f"\n[bold]{escape(check.hint)}[/]" if check.hint else ""
            table.add_row(_MARKS[check.status], escape(check.name), escape(check.found) + hint)
        console.print(f"[bold]{group.capitalize()}[/]")
        console.print(table)
        console.print()
    faults = [check.name for check in found.checks if check.status == "fault"]
    console.print(f"[bold red]Not well:[/] {escape(', '.join(faults))}." if faults else "All is well.")


EPILOG = """
**Examples**

- `obverse doctor`

- `obverse doctor --offline`: where there is no network

- `obverse doctor --json > doctor.json`: to send with a report of a fault
"""
