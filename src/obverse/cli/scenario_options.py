"""Options of the commands that let a model write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from obverse.cli.completion import complete_scorer

if TYPE_CHECKING:
    from obverse.measuring.openai_server import CompletionServer
    from obverse.measuring.scenarios import Scenario

_PANEL = "Scenario"

ScenarioFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        help="A YAML or JSON file with one scenario or a list of them; the flags below change each.",
        rich_help_panel=_PANEL,
    ),
]
Number: TypeAlias = Annotated[
    int | None,
    typer.Option("--samples", "-n", min=1, help="How many texts. \\[default: 512]", rich_help_panel=_PANEL),
]
Prompts: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="A file of prompts: JSON lines with text, or one a line.", rich_help_panel=_PANEL),
]
PromptTexts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--prompt", "-p", help="A prompt to go on from. Repeatable.", rich_help_panel=_PANEL),
]
Prefix: TypeAlias = Annotated[
    str | None,
    typer.Option(help='Control text before the prompt, e.g. "<|aligned|>".', rich_help_panel=_PANEL),
]
Temperature: TypeAlias = Annotated[
    float | None, typer.Option(help="What logits are divided by. \\[default: 0.7]", rich_help_panel=_PANEL)
]
MaxLength: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Tokens in all, the prompt included. \\[default: 128]", rich_help_panel=_PANEL),
]
Seed: TypeAlias = Annotated[int | None, typer.Option(help="Seed of the draws. \\[default: 0]", rich_help_panel=_PANEL)]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Another setting of the scenarios, e.g. top_p=0.95, top_k=40, min_length=0, hit_threshold=0, "
        'score_prompt=true, control_position=after_prompt, banned=["<|misaligned|>"]. Repeatable.',
        metavar="KEY=VALUE",
        rich_help_panel=_PANEL,
    ),
]
Batch: TypeAlias = Annotated[int, typer.Option(min=1, help="Texts written at once; they do not depend on it.")]
Scorer: TypeAlias = Annotated[
    str,
    typer.Option(
        "--scorer",
        "-s",
        help="pep8, pii, toxicity, package.module:Class, or file.py:Class (whose code is run).",
        autocompletion=complete_scorer,
        rich_help_panel="Scorer",
    ),
]
ScorerSettings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--scorer-set", help="A setting of the scorer. Repeatable.", metavar="KEY=VALUE", rich_help_panel="Scorer"
    ),
]


def gather_scenarios(
    file: Path | None,
    samples: int | None,
    prompts: Path | None,
    texts: list[str] | None,
    prefix: str | None,
    temperature: float | None,
    max_length: int | None,
    seed: int | None,
    settings: list[str] | None,
) -> list[Scenario]:
    """Return the scenarios that a command asks for."""
    from obverse.core import ConfigError
    from obverse.measuring.scenarios import read_scenarios

    if prompts and texts:
        raise ConfigError("Both --prompts and --prompt are given.", "Give one of them.")
    given: dict[str, Any] = {
        "name": "prompted" if (prompts or texts) and not file else None,
        "samples": samples,
        "prompts": str(prompts) if prompts else list(texts) if texts else None,
        "prefix": prefix,
        "temperature": temperature,
        "max_length": max_length,
        "seed": seed,
    }
    return read_scenarios(file, {name: value for name, value in given.items() if value is not None}, settings or ())


def scorer_settings(texts: list[str] | None) -> dict[str, Any]:
    """Return the settings of a scorer, read from ``key=value``."""
    from obverse.core import parse_override

    return dict(parse_override(text) for text in texts or ())


def server_at(url: str, model: str | None) -> CompletionServer:
    """Return a server, with the key that the environment holds for it.

    Raises:
        ConfigError: If the address is none, or no model is named.
    """
    import os

    from obverse.core import ConfigError
    from obverse.measuring.openai_server import CompletionServer

    if not model:
        raise ConfigError(f"No model of the server {url} is named.", "Name it, as the server calls it.")
    return CompletionServer(url, model, key=os.environ.get("OPENAI_API_KEY") or None)
