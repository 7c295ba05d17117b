"""The command ``obverse``. A command is imported when it is asked for, torch when it runs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from obverse.cli.lazy import lazy_group
from obverse.core import package_version

PLACES = {
    "demo": "obverse.cli.demo:demo",
    "ask": "obverse.cli.ask:ask",
    "trace": "obverse.cli.trace:trace",
    "lens": "obverse.cli.lens:lens",
    "attribute": "obverse.cli.attribute:attribute",
    "edit": "obverse.cli.edit:edit",
    "edit-fit": "obverse.cli.edit_fit:edit_fit",
    "harness": "obverse.cli.harness:harness",
    "sweep-layers": "obverse.cli.sweep_layers:sweep_layers",
    "train": "obverse.cli.train:train",
    "score": "obverse.cli.score:score",
    "sample": "obverse.cli.sample:sample",
    "prefs": "obverse.cli.prefs:prefs",
    "red-team": "obverse.cli.red_team:red_team",
    "apply": "obverse.cli.apply:apply",
    "merge": "obverse.cli.merge:merge",
    "undo": "obverse.cli.undo:undo",
    "show": "obverse.cli.show:show",
    "list": "obverse.cli.list:list_names",
    "serve": "obverse.cli.serve:serve",
    "doctor": "obverse.cli.doctor:doctor",
    "bench": "obverse.cli.bench:bench_app",
    "facts": "obverse.cli.facts:facts_app",
    "repro": "obverse.cli.repro:repro_app",
    "reversal": "obverse.cli.reversal:reversal_app",
    "remote": "obverse.cli.remote:remote_app",
}
"""Every command and group of commands, in the order of ``obverse --help``, and where it is."""

_EPILOG = """
**Start here**

- `obverse demo`: edit one fact in a small model and see what held

- `obverse ask --subject "Space Needle" --prompt "The {} is in the city of" --target Seattle`

- `obverse trace "The Space Needle is in the city of" --subject "Space Needle"`

- `obverse edit --subject "Space Needle" --prompt "The {} is in the city of" --target Paris --true Seattle`

**Exit codes**

0 done; 1 the result is not what --require or --expect asked, a remote job failed, or doctor found a fault; 2 a mistake
in what was asked; 130 interrupted.
"""

app = typer.Typer(
    name="obverse",
    cls=lazy_group(PLACES),
    help="Measure, teach, locate and edit facts in language models, and verify an edit from both sides.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"obverse {package_version()}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    if "_OBVERSE_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "10000"  # else descriptions are broken into lines, and fish takes each for a name
    app()
