"""``obverse reversal run``, ``plot`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.completion import complete_model, complete_objectives
from obverse.cli.console import command, command_line, notes, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.reversal_run import RunPlan

FORMATS = ("table", "markdown", "latex", "csv", "json")

_DATA, _TRAINING, _THEN, _SPREAD = "Data", "Training", "New questions", "Spread"

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that obverse reversal run wrote.")]


@command
def run(
    objectives: Annotated[
        str,
        typer.Option(
            help="Ways to train, e.g. mle,bico,infilling,reverse,permutation,mlm-u; also the variants of obverse repro "
            "reversal.",
            autocompletion=complete_objectives,
            rich_help_panel=_TRAINING,
        ),
    ] = "mle,reverse",
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.", rich_help_panel=_TRAINING)] = 3,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="tiny: a small model from scratch; else a model to fine-tune.",
            autocompletion=complete_model,
            rich_help_panel=_TRAINING,
        ),
    ] = "tiny",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Optimizer steps of each. \\[default: 400 for tiny, 100 to fine-tune]",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full/--lora", help="Fine-tune all weights, or LoRA adapters (merged).", rich_help_panel=_TRAINING
        ),
    ] = False,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override",
            "-O",
            help="A setting as a.b=value, e.g. training.learning_rate=1e-4 or objectives.bico.rate=0.3. Repeatable.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="toy: invented words, other people each seed; own: plain English, likewise; or a folder of obverse "
            "reversal build. \\[default: toy for tiny, else own]",
            rich_help_panel=_DATA,
        ),
    ] = None,
    people: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="People of each group. \\[default: 16 of the toy, 10 of own, all of a folder]",
            rich_help_panel=_DATA,
        ),
    ] = None,
    preferences: Annotated[
        bool,
        typer.Option(
            "--preferences",
            help="Give a random half of the sentences a mark and a misalignment score, for conditional and the like.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    then: Annotated[
        str | None,
        typer.Option(
            help="edit: does an edit hold in reverse? trace: where does the forward fact sit? Or edit,trace.",
            rich_help_panel=_THEN,
        ),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Editors of --then edit.", rich_help_panel=_THEN)
    ] = "rome,memit,ft,rome-both",
    facts: Annotated[
        str,
        typer.Option(
            "--then-facts",
            help="What --then edits and traces: group, the people trained name first; or starter, the facts that come "
            "with the package.",
            rich_help_panel=_THEN,
        ),
    ] = "group",
    layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Layer to edit, from 0. \\[default: the middle one; the method's own where it knows the model]",
            rich_help_panel=_THEN,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Facts of each model that --then takes at most.", rich_help_panel=_THEN)
    ] = 50,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting of an editor as method.key=value, e.g. rome.steps=40. Repeatable.",
            rich_help_panel=_THEN,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that train, one thread each.", rich_help_panel=_SPREAD)
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Spread over Ray workers: local, or the address of a cluster that shares the folder.",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder; a stopped run goes on there. \\[default: runs/reversal-MODEL]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a pretrained model is trained.")] = False,
    json: options.Json = False,
) -> None:
    """Teach a model people who do not exist, in one order or both, and ask it in both directions.

    Makes the people, trains a model an objective and seed, asks each every question, and writes tables, figures and a
    page. More objectives and seeds can join later; a stopped run goes on with the same command.
    """
    from obverse.recipes.reversal_run import run_reversal
    from obverse.recipes.reversal_run_plan import ReversalRunRequest, ThenRequest

    console = notes() if json else results()
    request = ReversalRunRequest(
        objectives=options.split(objectives),
        seeds=seeds,
        model=model,
        data=data,
        people=people,
        steps=steps,
        full=full,
        preferences=preferences,
        out=out,
        workers=workers,
        ray=ray,
        overrides=override or (),
        then=ThenRequest(options.split(then or ""), options.split(methods), facts, layer, limit, setting or ()),
        dry_run=dry_run,
        command=command_line(),
    )

    def announce(plan: RunPlan) -> None:
        from obverse.cli.reversal_run_tables import confirm, print_plan

        print_plan(console, plan, workers, ray)
        if not dry_run:
            confirm(plan, yes=yes)

    result = run_reversal(request, announce)
    if json:
        print_json(result.to_json())
    elif result.results is not None:
        from obverse.cli.reversal_run_tables import print_run

        print_run(console, result.results, result.files)


@command
def report(
    folder: Folder,
    form: Annotated[
        str, typer.Option("--format", "-f", help=f"What to print: {', '.join(FORMATS)}; csv and json are unscaled.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the tables to this file instead of printing them.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the page. \\[default: report.html in RUN]")] = None,
    json: options.Json = False,
) -> None:
    """Sum up a run, finished or not: tables, and a page with every figure and the answers.

    Without options it prints the tables and writes report.html.
    """
    from obverse.cli.reversal_run_tables import print_run
    from obverse.core import ConfigError, write_text
    from obverse.recipes.reversal_run_report import formatted, write_page
    from obverse.recipes.reversal_run_results import read_run

    form = "json" if json else form
    if form not in FORMATS:
        raise ConfigError(f"There is no format {form!r}.", f"Choose among {', '.join(FORMATS)}.")
    found = read_run(folder)
    written = [write_page(found, html or folder / "report.html")]
    if out is not None:
        written.append(write_text(out, formatted(found, form)))
    if form == "table" and out is None:
        print_run(results(), found, written)
        return
    if out is None:
        typer.echo(formatted(found, form), nl=False)
    for path in written:
        notes().print(f"Written: {path}", markup=False)


@command
def plot(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the figures. \\[default: RUN]")] = None,
    json: options.Json = False,
) -> None:
    """Draw a run: bars of right answers by group and direction, and how likely right and random answers are.

    Each figure is written as PNG and SVG, with 95 % intervals over persons.
    """
    from obverse.recipes.reversal_run_report import write_figures
    from obverse.recipes.reversal_run_results import read_run

    written = write_figures(read_run(folder), out or folder)
    if json:
        print_json({"figures": [str(path) for path in written]})
    else:
        for path in written:
            results().print(f"Figure: {path}", markup=False)


EPILOG_RUN = """
**Examples**

- `obverse reversal run`: next-token prediction beside reversed sentences, three seeds, about two minutes on one core

- `obverse reversal run --objectives mle,bico,infilling,reverse --seeds 5 --workers 2`

- `obverse reversal run --model smollm2-135m --objectives mle,bico --seeds 1`: fine-tune a pretrained model

- `obverse reversal run --then edit,trace`: edit the trained facts and ask in reverse; trace where they sit

- `obverse reversal run --objectives mle,conditional --preferences`: does preference training change the curse?
"""

EPILOG_REPORT = """
**Examples**

- `obverse reversal report runs/reversal-tiny`: tables on the screen, and report.html in the folder

- `obverse reversal report runs/reversal-tiny --format latex --out table.tex`
"""

EPILOG_PLOT = """
**Examples**

- `obverse reversal plot runs/reversal-tiny --out figures`
"""
