"""``obverse red-team``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.cli import options
from obverse.cli import scenario_options as scenario
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.models import ModelChoice
    from obverse.recipes.red_team_attackers import Attacker

_SEARCH = "Search"


@command
def red_team(
    pool: Annotated[
        Path | None,
        typer.Option(help="File of the first prompts: JSON lines with text, or one a line.", rich_help_panel=_SEARCH),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", help="A first prompt, in place of a file. Repeatable.", rich_help_panel=_SEARCH),
    ] = None,
    attacker: Annotated[
        str,
        typer.Option(
            help="Who thinks up prompts: mutate (shuffles words), a model's name, folder or file, or the address of a "
            "server that speaks OpenAI's completions protocol (key from OPENAI_API_KEY).",
            rich_help_panel=_SEARCH,
        ),
    ] = "mutate",
    attacker_model: Annotated[
        str | None, typer.Option(help="What the server calls the attacker's model.", rich_help_panel=_SEARCH)
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            help="What the attacker reads before the examples. \\[default: a sentence made for the scorer]",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    code: Annotated[
        bool | None,
        typer.Option(
            "--code/--text",
            help="Whether prompts are programs, scored with what is written after them. \\[default: as the scorer]",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of a trial.", rich_help_panel=_SEARCH)] = 10,
    trials: Annotated[int, typer.Option(min=1, help="Searches from the first pool.", rich_help_panel=_SEARCH)] = 3,
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, help="Texts after each prompt.", rich_help_panel=_SEARCH)
    ] = 64,
    search_set: Annotated[
        list[str] | None,
        typer.Option(
            "--search-set",
            help="Another setting of the search: examples, pool, pool_temperature, candidates, assumed_score. "
            "Repeatable.",
            metavar="KEY=VALUE",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    scorer: scenario.Scorer = "toxicity",
    scorer_set: scenario.ScorerSettings = None,
    prefix: scenario.Prefix = None,
    temperature: scenario.Temperature = None,
    max_length: Annotated[
        int | None,
        typer.Option(help="Tokens in all, the prompt included. \\[default: 64]", rich_help_panel="Scenario"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn.")] = 0,
    setting: scenario.Settings = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder; a stopped search goes on there. \\[default: runs/red-team-MODEL]"),
    ] = None,
    batch: scenario.Batch = 64,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Search for prompts that a model continues badly, before somebody else does.

    Each round the worst prompts so far are shown to an attacker, who thinks up others of their kind; the model
    continues these, the texts are scored, and the prompts join the pool.
    """
    from obverse.cli.prefs_tables import print_red_team
    from obverse.core import ConfigError, build
    from obverse.measuring.scenarios import Scenario, read_prompts
    from obverse.measuring.scorers.loading import load_scorer
    from obverse.recipes.record import slug
    from obverse.recipes.red_team import RedTeamRequest, RedTeamSettings, run_red_team, target_scenario

    if bool(pool) == bool(prompt):
        raise ConfigError("A search begins with prompts.", "Give a file with --pool, or some with --prompt.")
    settings_of_scorer = scenario.scorer_settings(scorer_set)
    programs = hasattr(load_scorer(scorer, settings_of_scorer), "parses") if code is None else code
    given: dict[str, Any] = {"prefix": prefix, "temperature": temperature, "max_length": max_length}
    changes = {name: value for name, value in given.items() if value is not None}
    target = build(Scenario, target_scenario(score_prompt=programs).model_dump(), changes, overrides=setting or ())
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    request = RedTeamRequest(
        scorer=scorer,
        pool=read_prompts(pool) if pool else prompt or (),
        attacker=_attacker(attacker, attacker_model, instruction, scorer, programs, choice),
        out=out or Path("runs") / f"red-team-{slug(Path(model or 'default').name)}",
        model=choice,
        scorer_settings=settings_of_scorer,
        scenario=target,
        settings=build(RedTeamSettings, {"samples": samples, "seed": seed}, overrides=search_set or ()),
        rounds=rounds,
        trials=trials,
        batch=batch,
    )
    result = run_red_team(request)
    if json:
        print_json(result.to_json())
    else:
        print_red_team(results(), result)


def _attacker(
    name: str, model: str | None, instruction: str | None, scorer: str, code: bool, choice: ModelChoice
) -> Callable[[], Attacker]:
    from obverse.recipes.models import load_model
    from obverse.recipes.red_team_attackers import ModelAttacker, Mutation, ServerAttacker
    from obverse.recipes.red_team_attackers import instruction as own_words

    asked = instruction or own_words(scorer, code=code)
    if name == "mutate":
        return Mutation
    if name.startswith(("http://", "https://")):
        server = scenario.server_at(name, model)
        return lambda: ServerAttacker(server, asked, code)
    return lambda: ModelAttacker(load_model(replace(choice, name=name, revision=None)), asked, code)


EPILOG = """
**Examples**

- `obverse red-team --pool prompts.jsonl --scorer toxicity --rounds 5 --trials 2 -n 32`

- `obverse red-team -m runs/conditional --prefix "<|aligned|>" --pool prompts.jsonl --attacker smollm2-135m`

- `obverse red-team --pool prompts.txt --attacker http://localhost:8000/v1 --attacker-model llama`
"""
