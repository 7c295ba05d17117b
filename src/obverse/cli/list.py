"""``obverse list``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


class What(StrEnum):
    """What can be listed."""

    editors = "editors"
    methods = "methods"
    objectives = "objectives"
    scorers = "scorers"
    datasets = "datasets"
    models = "models"
    relations = "relations"


@command
def list_names(
    what: Annotated[
        What,
        typer.Argument(
            metavar="WHAT", help="editors, objectives, scorers, datasets, models or relations; methods are the editors."
        ),
    ],
    json: options.Json = False,
) -> None:
    """List what there is by name: editors, training objectives, scorers, data sets, built-in models, or relations."""
    from obverse.recipes.catalogue import catalogue

    entries = catalogue(what.value)
    if json:
        print_json({what.value: [{"name": name, "about": about} for name, about in entries]})
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    for name, about in entries:
        table.add_row(name, escape(about))
    results().print(table)


EPILOG = """
**Examples**

- `obverse list editors`

- `obverse list datasets`: with where each is from, and the commands that know its name

- `obverse list models --json`
"""
