"""``obverse train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from obverse.cli import options
from obverse.cli.completion import complete_model, complete_objective, complete_task
from obverse.cli.console import command, command_line, notes, print_json, results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from obverse.recipes.train_result import TrainPlan, TrainResult


@command
def train(
    task: Annotated[
        str,
        typer.Option(
            help="What is learned from: toxicity, pii, pep8 (each also NAME-finetune), or a YAML file.",
            autocompletion=complete_task,
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            help="How: mle, filtering, conditional, unlikelihood, awr, rwr, bico, infilling, reverse, permutation, "
            "mlm-u, or a YAML file.",
            autocompletion=complete_objective,
        ),
    ] = "mle",
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override",
            "-O",
            "--set",
            metavar="KEY=VALUE",
            help="A setting, e.g. training.max_steps=1000. Repeatable.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Start from this model: short for model.name, in place of the task's.",
            autocompletion=complete_model,
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the merged settings as YAML (JSON with --json), and stop.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run. \\[default: runs/train-TASK-METHOD]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, from its last checkpoint.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete an earlier run in that folder.")] = False,
    json: options.Json = False,
) -> None:
    """Train a model under an objective, from scratch or from a model, into a plain Hugging Face folder.

    The settings are those of the task, then of the method, then of --override; all are checked at once. Under
    accelerate launch the same command runs on several devices or machines.
    """
    from obverse.core import ConfigError
    from obverse.recipes.train_presets import as_yaml, layers_of
    from obverse.training.settings import SECTIONS, train_config

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite are both given.", "Go on with the run, or delete it.")
    layers = layers_of(task, method)
    if model is not None:
        layers = [_started_from(model, layers)]
    config = train_config(*layers, overrides=override or ())
    if show:
        if json:
            print_json(config.resolved)
        else:
            typer.echo(as_yaml(config.resolved, SECTIONS), nl=False)
        return
    from obverse.recipes.train import TrainRequest, run_train
    from obverse.training.callbacks import is_first

    folder = out or Path("runs") / f"train-{Path(task).stem}-{Path(method).stem}"
    console = notes() if json else results()
    result = run_train(
        TrainRequest(config, folder, resume, overwrite, command_line()), lambda plan: _print_plan(console, plan)
    )
    if not is_first():  # of several processes
        return
    if json:
        print_json(result.to_json())
    else:
        _print_result(console, result)


def _started_from(model: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the settings with another start: what says how to draw a model anew does not hold for it."""
    from obverse.core import merged

    settings = merged(*layers)
    given = settings.get("model") or {}
    kept = {name: given[name] for name in ("lora", "dtype", "trust_remote_code") if name in given}
    return {**settings, "model": {**kept, "name": model}}


def _print_plan(console: Console, plan: TrainPlan) -> None:
    from obverse.cli.tables import grid

    device, accumulation, processes = plan.batch
    weights, trained = plan.parameters
    objective = {name: value for name, value in plan.objective.items() if name != "name"}
    rows = [
        ("model", f"{plan.model}, {weights:,} weights" + (f", {trained:,} trained" if trained != weights else "")),
        ("objective", str(plan.objective["name"])),
        *((f"  {name}", _plain(value)) for name, value in objective.items()),
        ("corpus", f"{plan.rows:,} rows of {plan.length} tokens, each seen {plan.passes:.3g} times"),
        ("batch", f"{device * accumulation * processes} rows{_batches(device, accumulation, processes)}"),
        ("steps", f"{plan.steps:,}" + (f", from {plan.resumed:,} on" if plan.resumed else "")),
    ]
    console.print(grid(rows))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(inner)}" for name, inner in cast("dict[str, Any]", value).items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _batches(device: int, accumulation: int, processes: int) -> str:
    parts = [f"{device} at a time"] if accumulation > 1 or processes > 1 else []
    parts += [f"on {processes} processes"] if processes > 1 else []
    parts += [f"{accumulation} times a step"] if accumulation > 1 else []
    return f" ({', '.join(parts)})" if parts else ""


def _print_result(console: Console, result: TrainResult) -> None:
    from obverse.cli.tables import duration, grid

    console.print()
    console.print(grid(_last_numbers(result.numbers)))
    spent = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    console.print(f"\nTime: {spent}")
    console.print(f"Model: {result.folder}", markup=False)
    console.print(f"Page: {result.folder / 'report.html'}", markup=False)
    if not (result.folder / "config.json").is_file():
        console.print(f"It holds adapters ({result.folder / 'adapter'}); model.lora.merge=true writes the model.")
    else:
        console.print(f'Use it: obverse ask --model {result.folder} --prompt "..."', markup=False)


def _last_numbers(numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return what was logged last for reading: intervals beside their means, the library's own bookkeeping left out."""
    rows: list[tuple[str, str]] = []
    for name, value in numbers.items():
        bounds = [numbers.get(f"{name}_{end}") for end in ("low", "high")]
        interval = "" if None in bounds else " [{:.4g}, {:.4g}]".format(*bounds)
        if not name.startswith("train_") and not name.endswith(("_low", "_high")) and name not in _BOOKKEEPING:
            rows.append((name, f"{value:,}" if isinstance(value, int) else f"{value:.4g}{interval}"))
    return rows


_BOOKKEEPING = {"epoch", "total_flos", "grad_norm", "learning_rate"}

EPILOG = """
**Examples**

- `obverse train --task pii --method conditional --show`: the merged settings; nothing is trained

- `obverse train --task mine.yaml --method rwr --override training.max_steps=1000 --out runs/rwr`

- `obverse train --task mine.yaml --method mle --model smollm2-135m --override model.lora.rank=8`

- `obverse train ... --out runs/rwr --resume`: after a stop

- `accelerate launch --multi_gpu --num_processes 4 -m obverse train --task pii --method conditional --out runs/pii`
"""
