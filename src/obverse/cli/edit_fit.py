"""``obverse edit-fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import options
from obverse.cli.completion import complete_fitted
from obverse.cli.console import command, notes, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.fit import FitPlan, FitResult


@command
def edit_fit(
    facts: Annotated[
        Path,
        typer.Option(
            "--facts",
            help="Facts to learn from: a CSV, JSON or JSONL file with the columns subject, prompt, target, and "
            "optionally paraphrases; or records of CounterFact.",
            rich_help_panel="Fact",
        ),
    ],
    limit: Annotated[
        int | None, typer.Option(min=2, help="How many facts at most. \\[default: all]", rich_help_panel="Fact")
    ] = None,
    skip: Annotated[
        int,
        typer.Option(min=0, help="Pass over so many first, e.g. those to be measured on.", rich_help_panel="Fact"),
    ] = 0,
    method: Annotated[
        str,
        typer.Option(help="What to fit: mend or ke.", autocompletion=complete_fitted, rich_help_panel="Method"),
    ] = "mend",
    layer: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="Layer whose MLP matrices the editor will change, from 0. Repeatable. \\[default: the method's "
            "preset, or the last three]",
            rich_help_panel="Method",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the method or of the fit, e.g. fit.steps=5000. Repeatable.",
            rich_help_panel="Method",
        ),
    ] = None,
    dry_run: options.DryRun = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File for the fitted editor; a fit that was stopped goes on. \\[default: runs/METHOD.safetensors]",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older file.")] = False,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Fit a learned editor (MEND, KE) to a model, so that obverse edit can use it.

    Facts held out are edited as it learns: the editor that did best on them is kept, as one safetensors file that
    belongs to this model.
    """
    from obverse.recipes.fit import FitRequest, run_fit

    layers = [f"layers=[{','.join(map(str, layer))}]"] if layer else []
    request = FitRequest(
        facts,
        out or Path("runs") / f"{method}.safetensors",
        options.model_choice(model, dtype, device, device_map, revision, trust),
        method,
        [*layers, *(setting or ())],
        limit,
        skip,
        overwrite,
        dry_run,
    )
    console = notes() if json else results()
    result = run_fit(request, lambda plan: _print_plan(console, plan))
    if json:
        print_json(result.to_json())
    elif result.file is not None:
        _print_result(console, result)


def _print_plan(console: Console, plan: FitPlan) -> None:
    from obverse.cli.tables import grid

    rows = [
        ("model", f"{plan.model} ({plan.fingerprint})"),
        ("method", plan.method),
        ("layers", f"{', '.join(map(str, plan.layers))} ({len(plan.modules)} matrices: {', '.join(plan.modules)})"),
        ("facts", f"{plan.train} to learn from, {plan.held} held out"),
        *(
            (f"  {name}", f"{value}{' (preset for this model)' if name in plan.from_preset else ''}")
            for name, value in plan.settings.items()
            if name not in ("weights", "layers", "fit")
        ),
        *((f"  fit.{name}", str(value)) for name, value in plan.settings["fit"].items()),
    ]
    if plan.checkpoint:
        rows.append(("goes on from", plan.checkpoint))
    console.print(grid(rows))


def _print_result(console: Console, result: FitResult) -> None:
    from obverse.cli.tables import duration, table

    best = result.best
    shown = table("facts seen", "loss", "nll after", "KL elsewhere", "target first", "", title="On the facts held out")
    for one in result.history:
        shown.add_row(
            str(one.step), f"{one.loss:.4f}", f"{one.nll:.3f}", f"{one.kl:.4f}", f"{one.accuracy:.0%}",
            "kept" if one is best else "",
        )  # fmt: skip
    console.print()
    console.print(shown)
    console.print(
        f"nll: negative log-probability of the target, per token; {best.unedited:.3f} before the edit. target first: "
        "the target is the likeliest answer after the edit.",
        style="dim",
    )
    spent = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    console.print(f"\nTime: {spent}")
    console.print(f"Editor: {result.file}", markup=False)
    console.print(f"Use it: obverse edit --method {result.plan.method} --set weights={result.file} ...", markup=False)


EPILOG = """
**Examples**

- `obverse edit-fit --facts facts.json --dry-run`: model, matrices, facts and settings; writes nothing

- `obverse edit-fit --method mend --facts counterfact.json --skip 5000 --limit 2000 --out mend.safetensors`

- `obverse edit-fit --method ke --facts facts.csv --set fit.steps=5000 --set fit.learning_rate=1e-4`

- `obverse edit --method mend --set weights=mend.safetensors -s "Space Needle" -p "The {} is in the city of" -t Paris`
"""
