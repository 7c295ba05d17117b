"""``obverse reversal run`` in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from obverse.cli.bench_tables import print_sheet
from obverse.cli.tables import grid

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from obverse.recipes.reversal_run_plan import RunPlan
    from obverse.recipes.reversal_run_results import RunResults


def print_plan(console: Console, plan: RunPlan, workers: int, ray: str | None) -> None:
    """Print what will be done."""
    settings, made = plan.settings, "other people for each seed"
    many = f"{settings.people} of each group, " if settings.people else ""
    where = {"toy": f"invented words, {made}", "own": f"plain English, {made}"}.get(plan.data, f"those of {plan.data}")
    marks = "; half of the sentences are marked and scored" if plan.preferences else ""
    done = len([trial for trial in plan.trials if trial.id in plan.done])
    spread = f"over Ray ({ray})" if ray else f"{workers} at a time"
    rows = [
        ("model", "a tiny one, from scratch" if plan.model == "tiny" else f"{plan.model}, {_trained(plan)}"),
        ("people", f"{many}{where}{marks}"),
        ("objectives", ", ".join(plan.objectives)),
        (
            "models",
            f"{len(plan.trials)} (the untrained one of each seed too), {done} done; {spread}",
        ),
        ("steps", f"{settings.steps:,} each"),
        *([("then", ", ".join(plan.then.what))] if plan.then.what else []),
        ("folder", str(plan.folder)),
    ]
    console.print(grid(rows))


def _trained(plan: RunPlan) -> str:
    return "LoRA adapters" if plan.settings.model.get("lora") else "all weights"


def confirm(plan: RunPlan, *, yes: bool) -> None:
    """Ask before pretrained models are trained, which takes long and much room; only where somebody can answer.

    Raises:
        ConfigError: If the answer is no.
    """
    from obverse.core import ConfigError

    left = [trial for trial in plan.trials if trial.id not in plan.done]
    if yes or plan.model == "tiny" or not left or not sys.stdin.isatty():
        return
    if not typer.confirm(f"Train and ask {len(left)} models of {plan.model}?", err=True):
        raise ConfigError("Not started.", "Nothing was written.")


def print_run(console: Console, results: RunResults, files: Sequence[Path]) -> None:
    """Print all tables, and where everything is."""
    from obverse.recipes.reversal_run_report import all_sheets

    told = set[str]()
    for sheet in all_sheets(results):
        print_sheet(console, sheet._replace(legend=tuple(text for text in sheet.legend if text not in told)))
        told.update(sheet.legend)
    console.print()
    for path in files:
        console.print(f"Written: {path}", markup=False)
