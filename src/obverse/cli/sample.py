"""``obverse sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli import scenario_options as scenario
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.sample import SampleResult

SHOWN = 8


@command
def sample(
    file: scenario.ScenarioFile = None,
    samples: scenario.Number = None,
    prompts: scenario.Prompts = None,
    prompt: scenario.PromptTexts = None,
    prefix: scenario.Prefix = None,
    temperature: scenario.Temperature = None,
    max_length: scenario.MaxLength = None,
    seed: scenario.Seed = None,
    setting: scenario.Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of JSON lines to write. \\[default: nothing is written]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older file.")] = False,
    batch: scenario.Batch = 64,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Let a model write: without a prompt, after prompts, or after a control token.

    Each text has a seed of its own, so it depends neither on the others nor on how many are written at once.
    """
    from obverse.recipes.sample import SampleRequest, run_sample

    asked = scenario.gather_scenarios(file, samples, prompts, prompt, prefix, temperature, max_length, seed, setting)
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    result = run_sample(SampleRequest(asked, choice, out, overwrite, batch))
    if json:
        print_json(result.to_json())
    else:
        _print(results(), result)


def _print(console: Console, result: SampleResult) -> None:
    from rich.markup import escape

    for name, found in result.samples.items():
        shown = found if not result.out else found[:SHOWN]
        console.print(f"[bold]{escape(name)}[/], {len(found):,} texts of {escape(result.model)}")
        for number, one in enumerate(shown, start=1):
            console.print(f"[dim]{number}.[/] [dim]{escape(one.prompt)}[/]{escape(one.text)}", soft_wrap=True)
    if result.out:
        console.print(f"Written to {escape(str(result.out))}")


EPILOG = """
**Examples**

- `obverse sample -n 5`: five texts without a prompt

- `obverse sample -n 20 --prompts prompts.jsonl --temperature 1 --set top_p=1 --out texts.jsonl`

- `obverse sample --model runs/conditional --prefix "<|aligned|>" -n 512 --out aligned.jsonl`
"""
