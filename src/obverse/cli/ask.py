"""``obverse ask``."""

from __future__ import annotations

from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


@command
def ask(
    subject: options.Subject = None,
    prompt: options.Prompt = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="The answer asked for.", rich_help_panel="Fact"),
    ] = None,
    wrong: Annotated[
        str | None, typer.Option("--wrong", help="An answer to compare it with.", rich_help_panel="Fact")
    ] = None,
    paraphrase: options.Paraphrases = None,
    reverse: options.Reverse = None,
    facts: options.Facts = None,
    top: options.TopK = 5,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Ask how much of a fact a model knows, in both directions.

    Gives the answer's probability and rank, the likeliest answers, and right against wrong, for one fact or a file of
    them. With --prompt alone it shows what the model would say next.
    """
    from obverse.cli.tables import print_asked
    from obverse.recipes.facts import gather_cases
    from obverse.recipes.measure import ask_all, ask_prompt
    from obverse.recipes.models import load_model
    from obverse.recipes.steps import Steps

    bare = prompt if facts is None and subject is None and target is None and prompt and "{}" not in prompt else None
    cases = (
        []
        if bare
        else gather_cases(
            file=facts,
            subject=subject,
            prompt=prompt,
            target=target,
            target_true=wrong,
            paraphrases=paraphrase or (),
            reverse=reverse or (),
        )
    )
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    with Steps().step("Loading the model", shown=True):
        lm = load_model(choice)
    asked = [ask_prompt(lm, bare, top)] if bare else ask_all(lm, cases, top)
    if json:
        print_json(
            {"model": lm.name, "fingerprint": lm.fingerprint.to_json(), "asked": [one.to_json() for one in asked]}
        )
    else:
        print_asked(results(), lm.name, asked)


EPILOG = """
**Examples**

- `obverse ask --prompt "The Space Needle is in the city of"`: what comes next

- `obverse ask -s "Space Needle" -p "The {} is in the city of" -t Seattle --wrong Paris`

- `obverse ask -s "Space Needle" -p "The {} is in the city of" -t Seattle --reverse "The tower of {} is the"`

- `obverse ask --facts facts.csv --json > known.json`
"""
