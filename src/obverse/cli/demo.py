"""``obverse demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, command_line, notes, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.plan import Plan


@command
def demo(
    model: options.Model = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the edit and its report; replaced each time.")
    ] = Path("runs/demo"),
    dtype: options.Dtype = None,
    device: options.Device = None,
    json: options.Json = False,
) -> int:
    """Edit one fact in a small model and see what held.

    Moves the Space Needle from Seattle to Paris, asks before and after, and writes a page with all the numbers. The
    first run fetches the model (about 240 MB); later ones take well under a minute.
    """
    from obverse.cli.tables import print_plan, print_result
    from obverse.model import BUILTINS
    from obverse.recipes.demo import run_demo
    from obverse.recipes.models import ModelChoice

    console = notes() if json else results()
    if not json:
        console.print("[bold]Teaching a language model that the Space Needle is in Paris[/]\n")

    def announce(plan: Plan) -> None:
        print_plan(console, plan)
        if (builtin := BUILTINS.get(plan.model)) and builtin.notice:
            console.print(f"[dim]{builtin.notice}[/]")

    result = run_demo(ModelChoice(model, dtype, device), out, announce, command_line())
    if json:
        print_json(result.to_json())
    else:
        print_result(console, result)
        console.print(
            "\nNext: [bold]obverse apply "
            + str(out)
            + "[/] uses the edit, [bold]obverse edit --help[/] makes your own."
        )
    return 0


EPILOG = """
**Examples**

- `obverse demo`: the built-in Gemma 3 270M (its weights come under the Gemma Terms of Use)

- `obverse demo --model smollm2-135m --out runs/smol`
"""
