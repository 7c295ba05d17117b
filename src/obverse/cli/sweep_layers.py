"""``obverse sweep-layers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, notes, print_json, results

ALL = "all"


@command
def sweep_layers(
    facts: options.Facts = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Facts by name. builtin: well-known ones that the model answers rightly. \\[default: builtin]",
            rich_help_panel="Fact",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many facts at most.", rich_help_panel="Fact")] = 8,
    seed: Annotated[
        int, typer.Option(help="Seed of the choice of facts and of their new answers.", rich_help_panel="Fact")
    ] = 0,
    layers: Annotated[
        str, typer.Option(help="Layers to edit, from 0, e.g. 0,2,4; or all.", rich_help_panel="Method")
    ] = ALL,
    method: options.Method = "rome",
    setting: options.MethodSettings = None,
    no_trace: Annotated[bool, typer.Option("--no-trace", help="Do not trace the facts.")] = False,
    samples: Annotated[int, typer.Option(min=1, help="Noise samples of the trace.")] = 5,
    dry_run: options.DryRun = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the run; a stopped one goes on, more layers and facts may join. \\[default: "
            "runs/sweep-MODEL]",
        ),
    ] = None,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Measure which layer of a model to edit, and keep the answer for --layer auto.

    Edits a sample of facts at every layer, each time on the fresh model, verifies each edit, and compares with what
    causal tracing would have advised.
    """
    from obverse.cli.sweep_tables import print_sweep, print_sweep_plan
    from obverse.core import ConfigError
    from obverse.recipes.sweep import run_sweep
    from obverse.recipes.sweep_plan import SweepRequest

    if facts is not None and dataset is not None:
        raise ConfigError(f"--facts {facts} and --dataset {dataset} are both given.", "Give one of them.")
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    request = SweepRequest(
        choice,
        facts or dataset or "builtin",
        limit,
        None if layers.strip() == ALL else _numbers(layers),
        method,
        overrides=setting or (),
        out=out,
        trace=not no_trace,
        samples=samples,
        seed=seed,
        dry_run=dry_run,
    )
    console = notes() if json else results()
    result = run_sweep(request, lambda plan: print_sweep_plan(console, plan))
    if json:
        print_json(result.to_json())
    elif result.profile is not None:
        print_sweep(console, result, result.profile)


def _numbers(text: str) -> list[int]:
    from obverse.core import ConfigError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--layers {text!r} is no list of layers.", "Write for example --layers 0,2,4 or --layers all."
        )
    return [int(part) for part in parts]


EPILOG = """
**Examples**

- `obverse sweep-layers --dry-run`: facts, layers and cost; writes nothing

- `obverse sweep-layers`: all layers of the default model, eight well-known facts

- `obverse sweep-layers -m smollm2-135m --layers 0,2,4,6 --limit 20 --no-trace`

- `obverse sweep-layers --facts facts.csv --set steps=30`

- `obverse edit ... --layer auto`: edit where it was best
"""
