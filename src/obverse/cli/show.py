"""``obverse show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


@command
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An edit, or a merged checkpoint.")],
    json: options.Json = False,
) -> None:
    """Show what an edit or a merged checkpoint contains, without loading its model.

    Facts, method and settings, the base model, the changed matrices and how large the changes are, and what the
    verification found.
    """
    from obverse.cli.tables import print_shown
    from obverse.recipes.show import run_show

    shown = run_show(folder)
    if json:
        print_json(shown.to_json())
    else:
        print_shown(results(), shown)


EPILOG = """
**Examples**

- `obverse show runs/demo`

- `obverse show runs/demo --json`
"""
