"""``obverse attribute``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.attribute import AttributeResult

_HOW = "Method"


@command
def attribute(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="Text that ends where the answer starts.")],
    subject: Annotated[
        str | None,
        typer.Option("--subject", "-s", help="Whom or what it is about; needed for {} and subject-last."),
    ] = None,
    answer: Annotated[
        str | None, typer.Option("--answer", "-a", help="The answer. \\[default: what the model says next]")
    ] = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many neurons to list.")] = 20,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the scores of all neurons to this .safetensors file.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw them to this .png, .pdf or .svg file.")] = None,
    at: Annotated[
        str,
        typer.Option(
            help="What is scaled: key (input of the MLP's output matrix) or preactivation (the original's).",
            rich_help_panel=_HOW,
        ),
    ] = "key",
    rule: Annotated[
        str,
        typer.Option(help="Where gradients are taken: midpoint, or reference (the original's).", rich_help_panel=_HOW),
    ] = "midpoint",
    steps: Annotated[int, typer.Option(help="Number of gradients a layer.", rich_help_panel=_HOW)] = 20,
    position: Annotated[
        str,
        typer.Option(
            help="The token whose neurons are scaled: last, subject-last, or a number from 0.", rich_help_panel=_HOW
        ),
    ] = "last",
    reading: Annotated[
        str,
        typer.Option(
            help="Of an answer of several tokens: sequence (the probability of the whole), or same-position (the mean "
            "of its tokens' right after the prompt; the original's).",
            rich_help_panel=_HOW,
        ),
    ] = "sequence",
    memory: Annotated[
        float, typer.Option(metavar="GB", help="Memory to use beyond the model's.", rich_help_panel=_HOW)
    ] = 3.0,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Show which neurons of a model's MLPs make it give an answer (integrated gradients).

    A neuron's score is what it adds to the probability of the answer; over the neurons of a layer scores add up to what
    the layer adds. Each neuron is listed with the tokens that what it writes makes likelier.
    """
    from obverse.recipes.attribute import AttributeRequest, run_attribute

    settings = {
        "at": at, "rule": rule, "steps": steps, "position": position, "reading": reading, "memory": memory
    }  # fmt: skip
    choice = options.model_choice(model, dtype, device, device_map, revision, trust)
    result = run_attribute(AttributeRequest(prompt, subject, answer, settings, top, out, figure, choice))
    if json:
        print_json(result.to_json())
    else:
        _print(results(), result)


def _print(console: Console, result: AttributeResult) -> None:
    from rich.markup import escape

    from obverse.cli.tables import grid, table
    from obverse.core.plotting import visible

    one = result.attribution
    console.print(
        grid(
            [
                ("model", one.model),
                ("prompt", one.fact.text),
                ("answer", f"{one.answer!r}, {one.probability:.1%}"),
                ("token", f"{one.position}, {one.tokens[one.position]!r}"),
            ]
        )
    )
    console.print()
    made = table("layer", "neuron", "adds", "of the largest", "value")
    made.add_column("what it writes makes likelier", justify="left", header_style="dim", overflow="fold")
    for listed in result.top:
        n = listed.neuron
        words = "  ".join(escape(visible(token, 16)) for token in listed.promotes)
        made.add_row(str(n.layer), str(n.index), f"{n.score:+.2%}", f"{n.share:.0%}", f"{n.value:.2f}", words)
    console.print(made)
    sums = one.by_layer()
    most = ", ".join(f"{layer} ({sums[layer]:+.1%})" for layer in sums.argsort(descending=True)[:5].tolist())
    count = len(one.above())
    console.print(
        f"\n{count} neuron{'' if count == 1 else 's'} add{'s' if count == 1 else ''} more than 20 % of the largest; "
        f"layers that add most: {most}"
    )
    console.print(
        "[dim]adds: to the probability of the answer; value: of the neuron at that token. Of what a layer adds, the "
        f"scores miss at most {float(one.unexplained().abs().max()):.2%}[/]"
    )
    for name, path in (("Scores", result.out), ("Figure", result.figure)):
        if path:
            console.print(f"{name}: {path}", markup=False)


EPILOG = """
**Examples**

- `obverse attribute "The Space Needle is in the city of"`: the neurons behind what the model says next

- `obverse attribute "The Space Needle is in the city of" --answer Seattle --out needle.safetensors --figure needle.png`

- `obverse attribute "The {} is in the city of" -s "Space Needle" --position subject-last`

- `obverse attribute ... --at preactivation --rule reference --reading same-position`: as the original program
"""
