"""``obverse facts build``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from obverse.cli import options
from obverse.cli.console import command, notes, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.facts_build import BuildPlan, BuildResult

_INPUT = "Input"
_SET = "The set"


@command
def build(
    triples: Annotated[
        Path,
        typer.Option(
            help="Plain facts: a CSV, JSON or JSONL file with the columns subject, relation, object.",
            rich_help_panel=_INPUT,
        ),
    ],
    relations: Annotated[
        Path,
        typer.Option(
            help="How each relation is worded: a YAML list with name, prompt, and optionally paraphrases, reverse, "
            "open, wikidata, neighbours.",
            rich_help_panel=_INPUT,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the set; ends in .json.")],
    known_by: Annotated[
        Literal["likeliest", "greedy"],
        typer.Option(
            help="When a fact counts as known. likeliest: a true object has the highest probability of all objects of "
            "the relation; greedy: and the model says it by itself.",
            rich_help_panel=_SET,
        ),
    ] = "likeliest",
    keep_unknown: Annotated[
        bool, typer.Option("--keep-unknown", help="Keep what the model does not know too.", rich_help_panel=_SET)
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Cases at most, of each relation in turn. \\[default: all]", rich_help_panel=_SET),
    ] = None,
    per_relation: Annotated[
        int | None,
        typer.Option(min=1, help="Cases of a relation at most. \\[default: all]", rich_help_panel=_SET),
    ] = None,
    neighbours: Annotated[
        int, typer.Option(min=0, help="Neighbouring facts of a case at most.", rich_help_panel=_SET)
    ] = 10,
    min_neighbours: Annotated[
        int, typer.Option(min=0, help="Leave out cases with fewer neighbouring facts.", rich_help_panel=_SET)
    ] = 0,
    seed: Annotated[
        int, typer.Option(help="Seed of new answers, of neighbours and of what a limit takes.", rich_help_panel=_SET)
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the files and show what would be asked; load no model.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older file.")] = False,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Make a CounterFact-style set of the facts that a model knows, from plain triples and templates.

    Each fact gets a new answer drawn from its relation, paraphrases, neighbours, reverse questions and open prompts.
    The set is for the model it was made with; what it was made of is written beside.
    """
    from obverse.core import ConfigError
    from obverse.data.fact_sets import SetChoices
    from obverse.recipes.facts_build import BuildRequest, run_facts_build

    if min_neighbours > neighbours:
        raise ConfigError(
            f"At least {min_neighbours} and at most {neighbours} neighbours are asked for.",
            "Give a smaller --min-neighbours, or more --neighbours.",
        )
    request = BuildRequest(
        triples,
        relations,
        out,
        options.model_choice(model, dtype, device, device_map, revision, trust),
        known_by,
        keep_unknown,
        SetChoices(seed, neighbours, per_relation, limit, min_neighbours),
        overwrite,
        dry_run,
    )
    console = notes() if json else results()
    result = run_facts_build(request, lambda plan: _print_plan(console, plan))
    if json:
        print_json(result.to_json())
    elif result.file is not None:
        _print_result(console, result, result.file)


def _print_plan(console: Console, plan: BuildPlan) -> None:
    from obverse.cli.tables import grid

    subjects = sum(counts.subjects for counts in plan.relations.values())
    asked = "a true object is the likeliest of the relation's"
    rows = [
        ("facts", f"{sum(counts.triples for counts in plan.relations.values()):,} triples"),
        ("relations", ", ".join(plan.relations)),
        ("questions", f"{subjects:,}, one a subject and relation"),
        ("known", f"{asked}, and said by itself" if plan.known_by == "greedy" else asked),
        ("seed", str(plan.choices.seed)),
        ("set", str(plan.file)),
    ]
    console.print(grid(rows))


def _print_result(console: Console, result: BuildResult, file: Path) -> None:
    from obverse.cli.tables import duration, table

    shown = table("relation", "triples", "subjects", "objects", "known", "cases")
    for name, counts in result.relations.items():
        shown.add_row(
            name,
            *(f"{n or 0:,}" for n in (counts.triples, counts.subjects, counts.objects, counts.known, counts.cases)),
        )
    console.print()
    console.print(shown)
    for reason, count in result.dropped.items():
        console.print(f"Left out: {reason}: {count:,}", markup=False)
    spent = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    console.print(f"\nTime: {spent}")
    console.print(f"Set: {file}", markup=False)
    console.print(f"Use it: obverse edit --facts {file} ...", markup=False)


EPILOG = """
**Examples**

- `obverse facts build --triples triples.csv --relations relations.yaml --out facts.json --dry-run`: check the files

- `obverse facts build --triples triples.csv --relations relations.yaml --out facts.json --per-relation 50`

- `obverse facts build --triples triples.csv --relations relations.yaml --known-by greedy -m gpt2 -o gpt2.json`
"""

facts_app = typer.Typer(
    name="facts", help="Make sets of facts.", no_args_is_help=True, rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@facts_app.callback()
def _group() -> None:
    """Make sets of facts."""


facts_app.command("build", epilog=EPILOG)(build)
