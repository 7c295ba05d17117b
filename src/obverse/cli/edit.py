"""``obverse edit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from obverse.cli import options
from obverse.cli.console import BELOW, DONE, command, command_line, notes, print_json, results


@command
def edit(
    subject: options.Subject = None,
    prompt: options.Prompt = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The new answer.", rich_help_panel="Fact")
    ] = None,
    true: Annotated[
        str | None,
        typer.Option("--true", help="The present answer; success is measured against it.", rich_help_panel="Fact"),
    ] = None,
    paraphrase: options.Paraphrases = None,
    neighbour: Annotated[
        list[str] | None,
        typer.Option(
            "--neighbour",
            help='A fact that must not change, as "prompt => answer". Repeatable.',
            rich_help_panel="Fact",
        ),
    ] = None,
    reverse: options.Reverse = None,
    query: Annotated[
        list[str] | None,
        typer.Option(help="An open question, answered before and after the edit. Repeatable.", rich_help_panel="Fact"),
    ] = None,
    facts: options.Facts = None,
    last_wins: Annotated[
        bool,
        typer.Option(
            "--last-wins",
            help="Of facts with the same prompt and subject write the last. \\[default: they are refused]",
            rich_help_panel="Fact",
        ),
    ] = False,
    method: options.Method = "rome",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INTEGER|auto",
            help="Layer to edit, from 0; auto: the one that obverse sweep-layers measured. Repeatable. \\[default: the "
            "method's preset]",
            rich_help_panel="Method",
        ),
    ] = None,
    setting: options.MethodSettings = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of what the method samples, e.g. its contexts. \\[default: 0]", rich_help_panel="Method"
        ),
    ] = None,
    upon: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of an earlier edit to build upon. Repeatable, in order.", rich_help_panel="Method"),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Edit even if the model gives that answer already.", rich_help_panel="Method"),
    ] = False,
    dry_run: options.DryRun = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the edit. \\[default: runs/edit-SUBJECT-TARGET]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older edit in that folder.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not verify the edit.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 unless reached, e.g. efficacy=1 or specificity=0.8. Repeatable."),
    ] = None,
    top: options.TopK = 5,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|TEXT|FILE",
            help="What stands around a query when it is answered: alpaca, chatml, gemma, llama-2, vicuna ..., model "
            "(its own), a text with {query}, or a file of one. The edit and its probes ignore it. "
            "\\[default: the bare query]",
            rich_help_panel="Answers",
        ),
    ] = None,
    answer_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Length of an answer at most. \\[default: 32]", rich_help_panel="Answers"),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive",
            help="Then answer what you type, with and without the edit, until exit. The edit is saved before.",
            rich_help_panel="Answers",
        ),
    ] = False,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> int:
    """Change a fact in a model, verify the change, and save it as a small folder.

    The model itself is never touched: the edit is a PEFT adapter folder with edit.json, report.html and run.json
    beside. Use it with obverse apply, obverse merge, or PeftModel.from_pretrained.
    """
    from obverse.cli.converse import converse
    from obverse.cli.tables import print_plan, print_result
    from obverse.core import ConfigError
    from obverse.recipes.answers import TOKENS, Session
    from obverse.recipes.edit import EditRequest, EditResult, run_edit
    from obverse.recipes.facts import gather_cases
    from obverse.recipes.record import slug
    from obverse.recipes.requirements import parse_requirement

    if require and no_verify:
        raise ConfigError("--require and --no-verify are both given.", "Only a verified edit can be required to hold.")
    if interactive and (json or dry_run):
        raise ConfigError(
            f"--interactive and {'--json' if json else '--dry-run'} are both given.",
            "Leave one of them out; to get answers as JSON, give the questions as --query, or in the file of facts.",
        )
    cases = gather_cases(
        file=facts,
        subject=subject,
        prompt=prompt,
        target=target,
        target_true=true,
        paraphrases=paraphrase or (),
        neighbours=neighbour or (),
        reverse=reverse or (),
        queries=query or (),
    )
    if (template or answer_tokens) and not interactive and not any(case.prompts for case in cases):
        raise ConfigError(
            f"{'--template' if template else '--answer-tokens'} is given, but there is no query to answer.",
            "Give queries (--query, or in the file of facts), or ask them yourself with --interactive.",
        )
    settings: dict[str, Any] = {"layers": _layers(layer)} if layer else {}
    name = slug(facts.stem if facts else f"{subject} {target}")
    request = EditRequest(
        cases,
        options.model_choice(model, dtype, device, device_map, revision, trust),
        method,
        settings,
        setting or (),
        out=out or Path("runs") / f"edit-{name}",
        replace=overwrite,
        force=force,
        check=not no_verify,
        require=[parse_requirement(text) for text in require or ()],
        upon=upon or (),
        dry_run=dry_run,
        top=top,
        seed=seed,
        command=command_line(),
        source=facts,
        last_wins=last_wins,
        template=template or "default",
        answer_tokens=answer_tokens or TOKENS,
    )
    console = notes() if json else results()

    def finish(result: EditResult, session: Session) -> None:
        if not json:
            print_result(console, result)
        if interactive:
            converse(console, session)

    result = run_edit(request, lambda plan: print_plan(console, plan, full=dry_run), finish)
    if json:
        print_json(result.to_json())
    for shortfall in result.shortfalls:
        notes().print(f"[bold red]Below what was asked:[/] {shortfall}")
    return BELOW if result.shortfalls else DONE


def _layers(given: list[str]) -> list[int] | str:
    from obverse.core import ConfigError
    from obverse.editing.profile import AUTO

    if given == [AUTO]:
        return AUTO
    if wrong := [text for text in given if not text.strip().isdecimal()]:
        raise ConfigError(
            f"--layer {wrong[0]} is not one layer, nor {AUTO} alone.",
            "Give numbers from 0, e.g. --layer 5 --layer 6, or --layer auto for the measured one.",
        )
    return [int(text) for text in given]


EPILOG = """
**Examples**

- `obverse edit -s "Space Needle" -p "The {} is in the city of" -t Paris --true Seattle`

- `obverse edit ... --dry-run`: model, method, layer, settings and cost; writes nothing

- `obverse edit ... --neighbour "The Statue of Liberty is in the city of => New York" --require specificity=1`

- `obverse edit ... --layer 5 --set steps=30 --set learning_rate=0.1`

- `obverse edit ... --layer auto`: the layer that obverse sweep-layers measured on this model

- `obverse edit --facts facts.csv --out runs/many`: many facts, one upon the other

- `obverse edit ... --upon runs/first`: on top of an earlier edit

- `obverse edit --facts facts.json --template vicuna --interactive`: FastEdit's file and workflow
"""
