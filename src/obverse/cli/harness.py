"""``obverse harness``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.harness import HarnessResult
    from obverse.recipes.harness_scores import Estimate, TaskScore
    from obverse.recipes.harness_tasks import ExportedTasks

_RUN, _EXPORT = "Run tasks", "Export facts as tasks"


@command
def harness(
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            help="Tasks, groups or patterns of names, with commas between, e.g. `lambada_openai,facts_*`.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    edit: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of an edit. Repeatable, in the order in which they are stacked. \\[default: none; the "
            "unedited model alone]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(
            help="Folder with tasks of your own; they may run code that lies there.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Documents of each task at most. \\[default: all]", rich_help_panel=_RUN),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON file for the result.", rich_help_panel=_RUN)
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Folder for the facts of --facts as tasks.", rich_help_panel=_EXPORT)
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option("--facts", help="A file of facts, as of obverse edit.", rich_help_panel=_EXPORT),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What the names of the tasks begin with. \\[default: the name of the file]", rich_help_panel=_EXPORT
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older result, or older tasks.")] = False,
    model: options.ModelOfEdits = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Run lm-evaluation-harness on a model before and after an edit, or export facts as its tasks.

    Tasks that have nothing to do with the edited facts show its side effects. Needs the extra harness.
    """
    from obverse.core import ConfigError

    if (tasks is None) == (export is None):
        raise ConfigError(
            "One of --tasks and --export must be given.",
            "Run tasks with --tasks NAME,NAME, or write facts as tasks with --export FOLDER --facts FILE.",
        )
    if export is not None:
        _export(export, facts, name, overwrite, json)
        return
    from obverse.recipes.harness import run_harness

    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    names = options.split(tasks or "")
    if not names:
        raise ConfigError("--tasks names no task.", "Give names separated by commas.")
    result = run_harness(edit or (), names, choice, limit=limit, task_folder=include, out=out, replace=overwrite)
    if json:
        print_json(result.to_json())
    else:
        _print_result(results(), result)


def _export(folder: Path, facts: Path | None, name: str | None, overwrite: bool, json: bool) -> None:
    from obverse.core import ConfigError
    from obverse.recipes.harness_tasks import export_file

    if facts is None:
        raise ConfigError("--export is given without --facts.", "Name the file of facts with --facts FILE.")
    exported = export_file(facts, folder, name, replace=overwrite)
    if json:
        print_json(exported.to_json())
    else:
        _print_exported(results(), exported)


def _print_exported(console: Console, exported: ExportedTasks) -> None:
    from obverse.cli.tables import table

    made = table("Task", "documents", "group")
    for group, members in exported.groups.items():
        for task in members:
            made.add_row(task, str(exported.documents[task]), group)
    console.print(made)
    console.print(f"\nTasks: {exported.folder}", markup=False)
    first = next(iter(exported.groups))
    console.print(f"Run them: obverse harness --include {exported.folder} --tasks {first}", markup=False)


def _print_result(console: Console, result: HarnessResult) -> None:
    from obverse.cli.tables import grid, table

    told = [f"{fact.text} → {fact.target}" for fact in result.facts]
    facts = "\n".join([*told[:5], *([f"and {len(told) - 5} more"] if len(told) > 5 else [])])
    console.print(grid([("model", result.model), ("edit", facts or "none")]))
    console.print()
    edited = any(score.after for score in result.scores)
    headers = ("before", "after", "difference", "95 % range") if edited else ("value",)
    made = table("Task", "metric", "asked", *headers)
    for score in result.scores:
        metric = score.metric if score.filter == "none" else f"{score.metric} ({score.filter})"
        sign = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
        made.add_row(score.task, metric + sign, str(score.n), *_cells(score, edited))
    console.print(made)
    console.print("[dim]± is the standard error; ↑ higher is better, ↓ lower is better.[/]")
    if edited:
        console.print("[dim]The range is that of the difference, document by document; 0 in it: no effect shown.[/]")


def _cells(score: TaskScore, edited: bool) -> list[str]:
    if not edited:
        return [_value(score.before)]
    change = f"{score.difference.value:+.4f}" if score.difference else "-"
    within = f"{score.interval[0]:+.4f} to {score.interval[1]:+.4f}" if score.interval else "-"
    return [_value(score.before), _value(score.after), change, within]


def _value(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.4f}" + (f" ± {estimate.stderr:.4f}" if estimate.stderr is not None else "")


EPILOG = """
**Examples**

- `obverse harness --edit runs/demo --tasks lambada_openai,hellaswag --limit 500`: what else the edit changed

- `obverse harness --export tasks --facts facts.csv --name facts`: facts as tasks, for lm-eval --include_path tasks

- `obverse harness --include tasks --tasks facts,facts_said --edit runs/demo`: those tasks, before and after
"""
