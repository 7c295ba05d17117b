"""``obverse merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results


@command
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Edits, in the order they are stacked.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older checkpoint in that folder.")] = False,
    model: options.ModelOfEdits = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Write a normal Hugging Face checkpoint with saved edits in its weights.

    It loads anywhere a model does. The edits are kept inside, so obverse undo can take them out again. Weights keep
    the dtype they are stored in unless --dtype is given.
    """
    from obverse.cli.tables import print_merged
    from obverse.recipes.merge import run_merge

    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    result = run_merge(folders, out, choice, replace_older=overwrite)
    if json:
        print_json(result.to_json())
    else:
        print_merged(results(), result)


EPILOG = """
**Examples**

- `obverse merge runs/demo --out gemma-paris`

- `obverse merge runs/first runs/second --out edited --dtype float32`

- `obverse ask --model gemma-paris --prompt "The Space Needle is located in the city of"`
"""
