"""The command ``obverse``. Importing it is quick: torch is loaded by a command when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from obverse.cli import (
    apply,
    ask,
    attribute,
    demo,
    doctor,
    edit,
    edit_fit,
    facts,
    harness,
    lens,
    merge,
    prefs,
    red_team,
    sample,
    score,
    serve,
    show,
    sweep_layers,
    trace,
    train,
    undo,
)
from obverse.cli import list as listing
from obverse.cli.bench import bench_app
from obverse.cli.remote import remote_app
from obverse.cli.repro import repro_app
from obverse.cli.reversal import reversal_app
from obverse.core import package_version

_EPILOG = """
**Start here**

- `obverse demo`: edit one fact in a small model and see what held

- `obverse ask --subject "Space Needle" --prompt "The {} is in the city of" --target Seattle`

- `obverse trace "The Space Needle is in the city of" --subject "Space Needle"`

- `obverse edit --subject "Space Needle" --prompt "The {} is in the city of" --target Paris --true Seattle`

**Exit codes**

0 done; 1 the result is not what --require or --expect asked, or doctor found a fault; 2 a mistake in what was asked;
130 interrupted.
"""

app = typer.Typer(
    name="obverse",
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


for _name, _command, _examples in (
    ("demo", demo.demo, demo.EPILOG),
    ("ask", ask.ask, ask.EPILOG),
    ("trace", trace.trace, trace.EPILOG),
    ("lens", lens.lens, lens.EPILOG),
    ("attribute", attribute.attribute, attribute.EPILOG),
    ("edit", edit.edit, edit.EPILOG),
    ("edit-fit", edit_fit.edit_fit, edit_fit.EPILOG),
    ("harness", harness.harness, harness.EPILOG),
    ("sweep-layers", sweep_layers.sweep_layers, sweep_layers.EPILOG),
    ("train", train.train, train.EPILOG),
    ("score", score.score, score.EPILOG),
    ("sample", sample.sample, sample.EPILOG),
    ("prefs", prefs.prefs, prefs.EPILOG),
    ("red-team", red_team.red_team, red_team.EPILOG),
    ("apply", apply.apply, apply.EPILOG),
    ("merge", merge.merge, merge.EPILOG),
    ("undo", undo.undo, undo.EPILOG),
    ("show", show.show, show.EPILOG),
    ("list", listing.list_names, listing.EPILOG),
    ("serve", serve.serve, serve.EPILOG),
    ("doctor", doctor.doctor, doctor.EPILOG),
):
    app.command(_name, epilog=_examples)(_command)

app.add_typer(bench_app, name="bench")
app.add_typer(facts.facts_app, name="facts")
app.add_typer(repro_app, name="repro")
app.add_typer(reversal_app, name="reversal")
app.add_typer(remote_app, name="remote")


def main() -> None:
    """Run the command line and exit with its code."""
    app()
