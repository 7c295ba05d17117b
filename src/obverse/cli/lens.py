"""``obverse lens``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from obverse.locating.lens import Lens
    from obverse.recipes.lens import LensResult


@command
def lens(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The text to read.")],
    token: Annotated[
        str | None,
        typer.Option(
            help="Where to read: last; a number from 0, or from the end if negative; or text of the prompt. "
            "\\[default: last]"
        ),
    ] = None,
    all_tokens: Annotated[bool, typer.Option("--all-tokens", help="Read every token.")] = False,
    top: options.TopK = 5,
    answer: Annotated[
        str | None,
        typer.Option("--answer", "-a", help="The answer to follow. \\[default: what the model says in the end]"),
    ] = None,
    edit: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of an edit to compare with. Repeatable, in the order in which they are stacked."),
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw it to this .png, .pdf or .svg file.")] = None,
    model: options.ModelOfEdits = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Show what a model would say if it stopped after each of its layers (the logit lens).

    Every hidden state is put through the model's own last norm and vocabulary projection. With --edit, before and after
    an edit side by side, and the layer from which on they differ.
    """
    from obverse.recipes.lens import LensRequest, run_lens

    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    result = run_lens(LensRequest(prompt, token, all_tokens, top, answer, edit or (), figure, choice))
    if json:
        print_json(result.to_json())
    else:
        _print(results(), result)


def _print(console: Console, result: LensResult) -> None:
    from obverse.cli.tables import grid

    one = result.before
    rows = [("model", one.model), ("prompt", one.prompt)]
    if result.facts:
        rows.append(("edited", "\n".join(result.facts)))
    if len(one.positions) == 1:
        rows.append(("token", f"{one.positions[0]}, {one.tokens[one.positions[0]]!r}"))
    console.print(grid([*rows, ("answer", repr(one.answer))]))
    console.print()
    if len(one.positions) > 1:
        _print_tokens(console, result)
    elif result.after is None:
        _print_layers(console, one)
    else:
        _print_compared(console, result, result.after)
    if result.after is not None:
        _print_parting(console, result, result.after)
    if result.figure:
        console.print(f"\nFigure: {result.figure}", markup=False)


def _layer(layer: int) -> str:
    return "embedding" if layer < 0 else str(layer)


def _says(lens: Lens, layer: int) -> Text:
    from rich.text import Text

    from obverse.core.plotting import visible

    line = Text(no_wrap=True, overflow="ellipsis")
    for token in lens.top(lens.positions[0], layer):
        line.append(visible(token.text, 16)).append(f" {token.probability:.0%}  ", "dim")
    return line


def _layers_table(numbers: tuple[str, ...], says: tuple[str, ...]) -> Table:
    """Return a table of which, on a narrow terminal, only the columns of words are cut."""
    from obverse.cli.tables import table

    made = table("layer", *numbers)
    for column in made.columns:
        column.no_wrap = True
    for name in says:
        made.add_column(name, justify="left", header_style="dim", ratio=1 if len(says) > 1 else None)
    made.expand = len(says) > 1
    return made


def _print_layers(console: Console, lens: Lens) -> None:
    made = _layers_table(("answer", "rank", "entropy", "to the end"), ("would say",))
    for depth, layer in enumerate(lens.layers):
        numbers = lens.probability[0, depth], lens.rank[0, depth], lens.entropy[0, depth], lens.kl[0, depth]
        probability, rank, entropy, kl = (value.item() for value in numbers)
        made.add_row(
            _layer(layer), f"{probability:.2%}", f"{rank:,}", f"{entropy:.1f}", f"{kl:.1f}", _says(lens, layer)
        )
    console.print(made)
    console.print(
        "[dim]answer: its probability; entropy: how undecided, in bits; to the end: distance from what the model says "
        "after its last layer, KL in bits[/]"
    )


def _print_compared(console: Console, result: LensResult, after: Lens) -> None:
    before = result.before
    made = _layers_table(("answer", "rank", "moved"), ("before", "after"))
    for depth, layer in enumerate(before.layers):
        made.add_row(
            _layer(layer),
            f"{before.probability[0, depth].item():.1%} → {after.probability[0, depth].item():.1%}",
            f"{before.rank[0, depth].item():,} → {after.rank[0, depth].item():,}",
            f"{result.moved[0][depth]:.1%}",
            _says(before, layer),
            _says(after, layer),
        )
    console.print(made)
    console.print("[dim]answer: its probability; moved: change of the hidden state, relative to its norm[/]")


def _print_parting(console: Console, result: LensResult, after: Lens) -> None:
    from rich.markup import escape

    from obverse.core.plotting import visible

    last = result.before.layers[-1]
    console.print()
    for position, moves, parts in zip(after.positions, result.moves_at, result.parts_at, strict=True):
        if moves is None:
            said = "the edit moves nothing here"
        elif parts is None:
            said = f"moved from layer {_layer(moves)} on; in the end both say the same"
        else:
            old, new = (visible(lens.top(position, last)[0].text) for lens in (result.before, after))
            said = f"moved from layer {_layer(moves)} on; they part at layer {_layer(parts)} ({old} → {new})"
        console.print(f"[dim]{position}[/] {escape(visible(after.tokens[position]))}: {escape(said)}")


_CELL = 11
"""Columns of the terminal for a token of the prompt."""


def _print_tokens(console: Console, result: LensResult) -> None:
    lenses = [result.before] if result.after is None else [result.before, result.after]
    per_row = max(1, (console.width - 10) // (_CELL + 2))
    for name, lens in zip(("Before", "After"), lenses, strict=False):
        for start in range(0, len(lens.positions), per_row):
            columns = range(start, min(start + per_row, len(lens.positions)))
            title = name if len(lenses) > 1 and not start else None
            console.print(_token_table(lens, columns, title, result.before if lens is result.after else None))
            console.print()
    changed = "; [red]red[/]: another token than before" if result.after else ""
    console.print(
        f"[dim]The likeliest token after each layer; [/][bold]bold[/][dim]: above 50 %; faint: below 10 %{changed}[/]"
    )


def _token_table(lens: Lens, columns: range, title: str | None, other: Lens | None) -> Table:
    from rich.markup import escape
    from rich.text import Text

    from obverse.cli.tables import table
    from obverse.core.plotting import visible

    made = table("layer", title=title)
    for column in columns:
        position = lens.positions[column]
        header = f"{position} {escape(visible(lens.tokens[position], _CELL - 1 - len(str(position))))}"
        made.add_column(header, header_style="dim", min_width=_CELL, max_width=_CELL, no_wrap=True)
    for layer in lens.layers:
        cells: list[Text] = []
        for column in columns:
            top = lens.top(lens.positions[column], layer)[0]
            style = "bold" if top.probability > 0.5 else "dim" if top.probability < 0.1 else ""
            if other is not None and other.top(lens.positions[column], layer)[0].id != top.id:
                style += " red"
            cells.append(Text(visible(top.text, _CELL), style=style.strip()))
        made.add_row(_layer(layer), *cells)
    return made


EPILOG = """
**Examples**

- `obverse lens "The Space Needle is in the city of"`: what the model would say after each layer

- `obverse lens "The Space Needle is in the city of" --answer Seattle --token Needle`

- `obverse lens "The Space Needle is in the city of" --all-tokens --figure lens.png`

- `obverse lens "The Space Needle is located in the city of" --edit runs/demo`: before and after an edit
"""
