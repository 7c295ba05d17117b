"""Reproductions in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from obverse.cli.tables import duration, grid, table
from obverse.recipes.repro_sheet import verdict_sheet

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from obverse.recipes.repro import Verdict
    from obverse.recipes.repro_phf_pep8_results import PEP8Result
    from obverse.recipes.repro_phf_plan import PHFSettings
    from obverse.recipes.repro_reversal_plan import ReversalScale
    from obverse.recipes.repro_reversal_real import RealPlan
    from obverse.recipes.repro_run import ReproPlan, ReproResult
    from obverse.recipes.repro_sheet import Sheet

_STYLES = {"held": "green", "did not hold": "red", "open": "yellow"}


def print_phf_plan(console: Console, plan: ReproPlan[PHFSettings], workers: int) -> None:
    """Print what will be done."""
    corpus = plan.settings.corpus
    rows = [
        ("claims", ", ".join(plan.claims)),
        ("models", f"{plan.trials}, {plan.done} of them measured already; {workers} at a time"),
        ("corpus", f"{corpus.documents} documents of {corpus.sentences} sentences, made up; another for each seed"),
        ("folder", str(plan.folder)),
    ]
    console.print(grid(rows))


def print_reversal_plan(console: Console, plan: ReproPlan[ReversalScale], workers: int) -> None:
    """Print what will be done."""
    rows = [
        ("claims", ", ".join(plan.claims)),
        ("models", f"{plan.trials}, {plan.done} of them asked already; {workers} at a time"),
        ("people", f"{plan.settings.entities} of each group, made up; others for each seed"),
        ("folder", str(plan.folder)),
    ]
    console.print(grid(rows))


def print_reversal_real_plan(console: Console, plan: RealPlan, workers: int) -> None:
    """Print what will be done."""
    rows = [("claims", ", ".join(plan.claims)), ("processes", str(workers)), ("folder", str(plan.folder))]
    rows += [("left out", one) for one in plan.left_out]
    console.print(grid(rows))


def print_result(console: Console, result: ReproResult[Any]) -> None:
    """Print tables, verdicts, and where everything is."""
    for sheet in result.sheets:
        _print_sheet(console, sheet)
    _print_verdicts(console, result.verdicts)
    steps = ", ".join(f"{label[0].lower()}{label[1:]} {duration(s)}" for label, s in result.seconds.items())
    if steps:
        console.print(f"\nTime: {steps}; {duration(sum(result.seconds.values()))} in all.")
    _print_files(console, result.report, result.figures)


def print_pep8(console: Console, result: PEP8Result) -> None:
    """Print the table, the verdicts, and where everything is."""
    _print_sheet(console, result.sheet)
    _print_verdicts(console, result.verdicts)
    _print_files(console, result.report, ())


def print_commands(console: Console, commands: Sequence[str]) -> None:
    """Print commands to be launched elsewhere."""
    for line in commands:
        console.print(line, markup=False, soft_wrap=True)


def _print_sheet(console: Console, sheet: Sheet) -> None:
    made = table(*sheet.headers, title=f"\n{sheet.title}")
    for row in sheet.rows:
        made.add_row(*map(escape, row))
    console.print(made)
    console.print(f"[dim]{escape(sheet.note)}[/]")


def _print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    sheet = verdict_sheet(verdicts)
    made = table(*sheet.headers, title="\nVerdicts")
    made.columns[1].justify = "left"
    for row, verdict in zip(sheet.rows, verdicts, strict=True):
        made.add_row(*map(escape, row), style=_STYLES[verdict.outcome])
    console.print(made)
    console.print(f"[dim]{sheet.note}[/]")


def _print_files(console: Console, report: Path | None, figures: Sequence[Path]) -> None:
    console.print(f"\nReport: {report}", markup=False)
    for path in figures:
        console.print(f"Figure: {path}", markup=False)
