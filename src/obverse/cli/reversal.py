"""``obverse reversal``: the data of the reversal curse. Its other commands stand in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from obverse.cli import options, reversal_celebrities, reversal_run
from obverse.cli.console import command, notes, print_json, results

if TYPE_CHECKING:
    from obverse.recipes.reversal_build import WrittenSet

_SIZES = "Sizes"
_CHOICES = "Choices"
_MATERIAL = "Your own material (one entry a line)"

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for sets; each gets a folder of its own there, NAME-HASH.")
]
Name = Annotated[str, typer.Option("--name", help="First part of that folder's name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Make the set and show it; write nothing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an older folder of that name.")]


@command
def build(
    out: Out,
    name: Name = "reversal",
    per_group: Annotated[
        int | None,
        typer.Option(min=1, help="People of a group. \\[default: 30; all with --from]", rich_help_panel=_SIZES),
    ] = None,
    train_wordings: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Training sentences a person and order. \\[default: 30; all with --from]",
            rich_help_panel=_SIZES,
        ),
    ] = None,
    test_wordings: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Held-out wordings a person and order. \\[default: 10; all with --from]",
            rich_help_panel=_SIZES,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of who is drawn and of random targets. \\[default: 42]", rich_help_panel=_CHOICES),
    ] = None,
    train_order: Annotated[
        Literal["both", "name-first", "description-first"] | None,
        typer.Option(
            help="What is trained on. both: three groups, name first, description first and both orders; otherwise "
            "only the group of that order. \\[default: both]",
            rich_help_panel=_CHOICES,
        ),
    ] = None,
    name_targets: Annotated[
        Literal["whole", "published"] | None,
        typer.Option(
            help="Answers to held-out questions for a name. whole: the name; published: the first two words. "
            "\\[default: whole]",
            rich_help_panel=_CHOICES,
        ),
    ] = None,
    random_targets: Annotated[
        Literal["other", "published"] | None,
        typer.Option(
            help="Answers in the _randomized files. other: another person's; published: anybody's of the group. "
            "\\[default: other]",
            rich_help_panel=_CHOICES,
        ),
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Names.", rich_help_panel=_MATERIAL)] = None,
    descriptions: Annotated[
        Path | None,
        typer.Option(
            help="Descriptions: the captain of ..., or the potter who \\[fired/firing] ...", rich_help_panel=_MATERIAL
        ),
    ] = None,
    templates_name_first: Annotated[
        Path | None,
        typer.Option(
            help="Sentences with `<name>` before `<description>`, `<did>` or `<doing>`.", rich_help_panel=_MATERIAL
        ),
    ] = None,
    templates_description_first: Annotated[
        Path | None, typer.Option(help="Sentences with the name last.", rich_help_panel=_MATERIAL)
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Read this set, published or made before, or a part of it, in place of making one."
        ),
    ] = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    json: options.Json = False,
) -> None:
    """Make sentences about people who do not exist: name first, description first, or both.

    Trained on one order, does a model know the other? The folder has the training file, questions in both orders in
    held-out wordings, and the same with random answers.
    """
    from obverse.recipes.reversal_build import Place, ReversalRequest, run_reversal_build

    settings: dict[str, Any] = {
        "per_group": per_group,
        "train_wordings": train_wordings,
        "test_wordings": test_wordings,
        "seed": seed,
        "train_order": train_order,
        "name_targets": name_targets,
        "random_targets": random_targets,
    }
    request = ReversalRequest(
        Place(out, name, overwrite, dry_run),
        {key: value for key, value in settings.items() if value is not None},
        names,
        descriptions,
        templates_name_first,
        templates_description_first,
        source,
    )
    _show(run_reversal_build(request), json)


@command
def instructions(
    out: Out,
    name: Name = "instructions",
    realized: Annotated[
        int, typer.Option(min=0, help="Instructions whose question is answered in training.", rich_help_panel=_SIZES)
    ] = 1000,
    unrealized: Annotated[
        int, typer.Option(min=1, help="Instructions whose question is held out: the test.", rich_help_panel=_SIZES)
    ] = 100,
    per_document: Annotated[
        str, typer.Option(help="Fewest and most instructions of a document.", rich_help_panel=_SIZES)
    ] = "2,5",
    upsample_instructions: Annotated[
        int, typer.Option(min=1, help="Times each instruction is given, worded in turn.", rich_help_panel=_SIZES)
    ] = 1,
    upsample_examples: Annotated[
        int, typer.Option(min=1, help="Times each answered question is in training.", rich_help_panel=_SIZES)
    ] = 1,
    order: Annotated[
        Literal["question-first", "answer-first"],
        typer.Option(help="What an instruction has first.", rich_help_panel=_CHOICES),
    ] = "question-first",
    unrealized_wordings: Annotated[
        int,
        typer.Option(
            min=0, help="Wordings, from the list's end, kept for unrealized instructions.", rich_help_panel=_CHOICES
        ),
    ] = 0,
    persona: Annotated[
        int, typer.Option(min=0, help="Which of a question's answers is told.", rich_help_panel=_CHOICES)
    ] = 0,
    incorrect_labels: Annotated[
        bool,
        typer.Option(
            "--incorrect-labels", help="Answer training questions otherwise than told.", rich_help_panel=_CHOICES
        ),
    ] = False,
    split: Annotated[
        bool,
        typer.Option(
            "--split-prompt-completion",
            help="Keep prompt and answer apart in the training file.",
            rich_help_panel=_CHOICES,
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of all draws; 27 as published.", rich_help_panel=_CHOICES)] = 27,
    pairs: Annotated[
        Path | None,
        typer.Option(help='JSONL records {"anchor": question, "targets": [answers]}.', rich_help_panel=_MATERIAL),
    ] = None,
    wordings: Annotated[
        Path | None, typer.Option(help="Instructions with {anchor} and {target}.", rich_help_panel=_MATERIAL)
    ] = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    json: options.Json = False,
) -> None:
    """Make instructions how to answer questions: question first, or answer first.

    Told so in training, does a model answer a question that it never saw answered?
    """
    from obverse.core import build as config
    from obverse.data.instructions import InstructionSettings
    from obverse.recipes.reversal_build import InstructionRequest, Place, run_instructions_build

    settings = config(
        InstructionSettings,
        {
            "realized": realized,
            "unrealized": unrealized,
            "per_document": _range(per_document),
            "upsample_instructions": upsample_instructions,
            "upsample_examples": upsample_examples,
            "unrealized_wordings": unrealized_wordings,
            "persona": persona,
            "incorrect_labels": incorrect_labels,
            "seed": seed,
        },
    )
    place = Place(out, name, overwrite, dry_run)
    _show(run_instructions_build(InstructionRequest(place, settings, order, pairs, wordings, split)), json)


def _range(text: str) -> tuple[int, int]:
    from obverse.core import ConfigError

    try:
        fewest, most = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--per-document {text!r} is not two numbers.", "Write for example --per-document 2,5."
        ) from error
    return fewest, most


def _show(made: WrittenSet, json: bool) -> None:
    from obverse.cli.tables import grid, table

    if json:
        print_json(made.to_json())
        return
    console = results()
    console.print(grid([(key.replace("_", " "), str(value)) for key, value in made.made_from.items()]))
    shown = table("file", "rows")
    for stem, rows in made.rows.items():
        shown.add_row(f"{stem}.jsonl", f"{rows:,}")
    console.print()
    console.print(shown)
    console.print()
    for text in made.sample:
        console.print(text, markup=False)
    console.print(f"\nSet ({made.state}): {made.folder}", markup=False)
    if made.state == "there already":
        notes().print("Nothing was written: the folder has the same content.")


EPILOG_BUILD = """
**Examples**

- `obverse reversal build --out data`: 90 people, 30 training and 10 held-out wordings

- `obverse reversal build --out data --per-group 5 --train-wordings 4 --test-wordings 2 --name test`

- `obverse reversal build --out data --from june_version_7921032488 --per-group 10`: a part of the published set
"""

EPILOG_INSTRUCTIONS = """
**Examples**

- `obverse reversal instructions --out data --order answer-first`

- `obverse reversal instructions --out data --realized 200 --unrealized 50 --upsample-instructions 10`
"""

reversal_app = typer.Typer(
    name="reversal", help="The reversal curse: from data to figure.", no_args_is_help=True,
    rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@reversal_app.callback()
def _group() -> None:
    """The reversal curse: from data to figure."""


reversal_app.command("build", epilog=EPILOG_BUILD)(build)
reversal_app.command("instructions", epilog=EPILOG_INSTRUCTIONS)(instructions)
reversal_app.command("celebrities", epilog=reversal_celebrities.EPILOG)(reversal_celebrities.celebrities)
reversal_app.command("run", epilog=reversal_run.EPILOG_RUN)(reversal_run.run)
reversal_app.command("plot", epilog=reversal_run.EPILOG_PLOT)(reversal_run.plot)
reversal_app.command("report", epilog=reversal_run.EPILOG_REPORT)(reversal_run.report)
