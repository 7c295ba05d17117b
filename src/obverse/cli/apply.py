"""``obverse apply``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


@command
def apply(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Edits, in the order they are stacked.")],
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", help="A prompt to answer. Repeatable. \\[default: the facts' own]"),
    ] = None,
    generate: Annotated[int, typer.Option(min=1, help="Tokens of each continuation.")] = 12,
    top: options.TopK = 5,
    model: options.ModelOfEdits = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Answer prompts with saved edits, before and after; no weight is touched.

    Every edit is checked against the base model first. For several edits the predicted cross-talk between their
    subjects is shown.
    """
    from obverse.cli.tables import print_applied
    from obverse.recipes.apply import run_apply

    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    result = run_apply(folders, prompt or (), choice, generate, top)
    if json:
        print_json(result.to_json())
    else:
        print_applied(results(), result)


EPILOG = """
**Examples**

- `obverse apply runs/demo`

- `obverse apply runs/first runs/second -p "My visit to the Space Needle began" --generate 30`
"""
