"""What ``obverse bench report`` and ``obverse bench compare`` print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from obverse.cli.tables import table

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.bench.comparison import CaseDifference, RunComparison
    from obverse.report.bench_rows import BenchReport
    from obverse.report.bench_sheets import Cell, Sheet

_SHOWN_SETTINGS = 20


def print_report(console: Console, report: BenchReport, against: str | None = None) -> None:
    """Print every table of a report that fits the question: tests are against one run."""
    from obverse.report.bench_sheets import all_sheets, comparison_sheet, cost_sheet

    console.print(f"[bold]{escape(report.title)}[/]")
    for note in report.notes:
        console.print(f"[yellow]{escape(note)}[/]")
    seconds = list(dict.fromkeys(one.second for one in report.comparisons))
    tests = [sheet for name in seconds if (sheet := comparison_sheet(report.comparisons, name))]
    sheets = [sheet for sheet in all_sheets(report) if sheet not in tests]
    cost = cost_sheet(report.rows)
    for sheet in [*sheets, *tests[:1], *([cost] if cost else [])]:
        print_sheet(console, sheet)
    if against is None and len(seconds) > 1:
        others = ", ".join(f"--against {name}" for name in seconds[1:])
        console.print(f"[dim]Other tests: {escape(others)}. Best of each column in green.[/]")


def print_sheet(console: Console, sheet: Sheet) -> None:
    """Print a table, its means with their intervals beside them, and below it what they mean."""
    console.print(f"\n[bold]{escape(sheet.title)}[/]")
    made = table(*map(escape, sheet.head))
    for row in sheet.rows:
        made.add_row(*map(_marked, row))
    console.print(made)
    for text in sheet.legend:
        console.print(f"[dim]{escape(text)}[/]")


def _marked(cell: Cell) -> str:
    text = f"[bold green]{escape(cell.text)}[/]" if cell.best else escape(cell.text)
    return f"{text} [dim]({cell.interval})[/]" if cell.interval else text


def report_json(report: BenchReport) -> dict[str, Any]:
    """Return a report as JSON values, unscaled."""
    told = asdict(report)
    for curve in told["curves"]:
        curve["forgetting"] = {str(age): value for age, value in curve["forgetting"].items()}
    return told


def print_comparison(console: Console, found: RunComparison) -> None:
    """Print two runs held against each other."""
    from obverse.report.bench_rows import SHOWN
    from obverse.report.bench_sheets import number, p_value, span

    console.print(f"[bold]{escape(found.first)}[/] against [bold]{escape(found.second)}[/]")
    console.print(
        f"{found.shared:,} cases in both; {found.only[0]:,} only in the first, {found.only[1]:,} only in the second."
    )
    for note in found.notes:
        console.print(f"[yellow]{escape(note)}[/]")
    console.print("\n[bold]Means over these cases[/]")
    made = table("Metric", "first", "second", "difference", "95 %", "p", "n", "better")
    for name, pair in found.metrics.items():
        told, (one, two) = SHOWN[name], found.means[name]
        ends = span(pair.low, pair.high, told.scale) if pair.n > 1 else "-"
        difference = number(pair.difference, told.scale)
        cells = (number(one, told.scale), number(two, told.scale), difference, ends, p_value(pair.p), f"{pair.n:,}")
        made.add_row(told.label, *cells, told.better, style="bold" if pair.p < 0.05 else None)
    console.print(made)
    console.print(
        "[dim]p of a sign-flip permutation test, not corrected for the number of metrics; bold below 0.05.[/]"
    )
    _print_settings(console, found)
    _print_cases(console, found.cases)


def _print_settings(console: Console, found: RunComparison) -> None:
    if not found.settings:
        console.print("\nThe runs were made with the same settings.")
        return
    console.print("\n[bold]What differs in how they were made[/]")
    made = table("Setting", "first", "second")
    for name, values in list(found.settings.items())[:_SHOWN_SETTINGS]:
        made.add_row(escape(name), *(escape(_short(str(value))) for value in values))
    console.print(made)
    if len(found.settings) > _SHOWN_SETTINGS:
        console.print(f"… and {len(found.settings) - _SHOWN_SETTINGS} more (--json)")


def _short(text: str, length: int = 30) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _print_cases(console: Console, cases: Sequence[CaseDifference]) -> None:
    from obverse.report.bench_rows import SHOWN
    from obverse.report.bench_sheets import number

    if not cases:
        return
    console.print("\n[bold]Cases that differ most[/] [dim](first, second)[/]")
    for case in cases:
        old = f"{case.target_true} → " if case.target_true else "→ "
        console.print(f"{case.id}: {case.prompt} … {old}{case.target}", markup=False)
        shown = [
            f"{SHOWN[name].label} {number(one, SHOWN[name].scale)}, {number(two, SHOWN[name].scale)}"
            for name, (one, two) in case.values.items()
            if SHOWN[name].scale == 100 and not name.endswith("_entropy")
        ]
        console.print(f"[dim]  {escape('; '.join(shown))}[/]")
