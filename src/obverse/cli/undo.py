"""``obverse undo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


@command
def undo(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A folder that obverse merge wrote.")],
    last: Annotated[
        int | None, typer.Option(min=1, help="How many of the last edits to take out. \\[default: 1]")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Take out all edits.")] = False,
    model: options.ModelOfEdits = None,
    device: options.Device = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Take the last edits out of a merged checkpoint.

    The checkpoint is built anew from the base model and the remaining edits, so with --all its weights are those of
    the base, bit for bit; their hash is compared. An edit that was never merged needs no undo: the model beside it
    was not changed.
    """
    from obverse.cli.tables import print_merged
    from obverse.recipes.merge import run_undo
    from obverse.recipes.models import ModelChoice

    choice = ModelChoice(model, device=device, trust_remote_code=trust)
    result = run_undo(checkpoint, last, everything=everything, model=choice)
    if json:
        print_json(result.to_json())
    else:
        print_merged(results(), result)


EPILOG = """
**Examples**

- `obverse undo gemma-paris`: the last edit

- `obverse undo gemma-paris --all`: back to the base model
"""
