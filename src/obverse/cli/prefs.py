"""``obverse prefs``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli import scenario_options as scenario
from obverse.cli.completion import complete_model
from obverse.cli.console import command, command_line, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.prefs_request import KLRequest

_KL = "Distance from a reference"


@command
def prefs(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of samples to score, as obverse sample writes them.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model to measure: built-in, a GGUF file, a folder, or a hub id. Repeatable, to compare. "
            "\\[default: gemma-3-270m, if no file is given]",
            autocompletion=complete_model,
            rich_help_panel="Model",
        ),
    ] = None,
    scorer: scenario.Scorer = "toxicity",
    scorer_set: scenario.ScorerSettings = None,
    file: scenario.ScenarioFile = None,
    samples: scenario.Number = None,
    prompts: scenario.Prompts = None,
    prompt: scenario.PromptTexts = None,
    prefix: scenario.Prefix = None,
    temperature: scenario.Temperature = None,
    max_length: scenario.MaxLength = None,
    seed: scenario.Seed = None,
    setting: scenario.Settings = None,
    reference: Annotated[
        str | None, typer.Option(help="Measure KL from this model as well.", rich_help_panel=_KL)
    ] = None,
    reference_server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Measure KL from --reference on a server that speaks OpenAI's completions protocol, e.g. "
            "http://localhost:8000/v1. Its key is read from OPENAI_API_KEY.",
            rich_help_panel=_KL,
        ),
    ] = None,
    kl_samples: Annotated[int, typer.Option(min=1, help="Texts of the reference.", rich_help_panel=_KL)] = 512,
    kl_length: Annotated[int, typer.Option(min=1, help="Their tokens at most.", rich_help_panel=_KL)] = 64,
    kl_prefix: Annotated[
        str, typer.Option(help="Control text that the models are asked after.", rich_help_panel=_KL)
    ] = "",
    kl_every_line: Annotated[
        bool, typer.Option("--kl-every-line", help="Put it after each line break too.", rich_help_panel=_KL)
    ] = False,
    kl_reverse: Annotated[
        bool, typer.Option("--kl-reverse", help="Measure KL(model || reference) too.", rich_help_panel=_KL)
    ] = False,
    kl_prompt: Annotated[str, typer.Option(help="What the server's texts begin with.", rich_help_panel=_KL)] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for page, samples and records. A stopped run goes on there. \\[default: none]"
        ),
    ] = None,
    batch: scenario.Batch = 64,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Measure what models prefer to say: let them write, score the texts, and compare.

    A score is misalignment, so lower is better. Varied texts, their length and the distance from a reference model
    show what a low score was paid with.
    """
    from obverse.cli.prefs_tables import print_prefs
    from obverse.recipes.prefs import run_prefs
    from obverse.recipes.prefs_request import KLRequest, PrefsRequest

    asked = scenario.gather_scenarios(file, samples, prompts, prompt, prefix, temperature, max_length, seed, setting)
    choice = options.model_choice(None, dtype, device, device_map, revision, trust)
    names = models or ([] if files else [None])
    kl: KLRequest | None = None
    if reference or reference_server:
        server = scenario.server_at(reference_server, reference) if reference_server else None
        kl = KLRequest(
            None if server else replace(choice, name=reference, revision=None),
            server,
            kl_samples,
            kl_length,
            kl_prefix,
            kl_every_line,
            kl_reverse,
            kl_prompt,
            seed or 0,
        )
    result = run_prefs(
        PrefsRequest(
            scorer=scorer,
            scenarios=asked,
            models=[replace(choice, name=name) for name in names],
            files=files or (),
            scorer_settings=scenario.scorer_settings(scorer_set),
            kl=kl,
            out=out,
            batch=batch,
            command=command_line(),
        )
    )
    if json:
        print_json(result.to_json())
    else:
        print_prefs(results(), result)


EPILOG = """
**Examples**

- `obverse prefs --scorer toxicity -n 128`: how toxic the default model's texts are

- `obverse prefs -m runs/mle -m runs/conditional --prefix "<|aligned|>" -s pii --set hit_threshold=0 --out compared`

- `obverse prefs -m runs/conditional --prefix "<|aligned|>" --kl-prefix "<|aligned|>" --reference runs/mle --scorer pii`

- `obverse prefs texts.jsonl --scorer pep8 --json`: score texts that are there already
"""
