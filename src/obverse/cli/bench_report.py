"""``obverse bench report`` and ``obverse bench compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli import options
from obverse.cli.console import command, notes, print_json, results

FORMATS = ("table", "markdown", "latex", "csv", "json")


@command
def bench_report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Folders that obverse bench wrote, single runs in them, or result folders of ROME's own program.",
        ),
    ],
    form: Annotated[
        str, typer.Option("--format", "-f", help=f"What to print: {', '.join(FORMATS)}; csv and json are unscaled.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the tables to this file instead of printing them.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Write the figures into this folder, as PNG, PDF and SVG.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Where to write the page. \\[default: report.html in the folder, if it is one and ours]"),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Test every editor against this run. \\[default: the first editor's]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Sum up benchmarks: tables, paired tests, figures, and a page with every case.

    Every mean stands with its n and 95 % interval. Without options it prints the tables and writes report.html.
    """
    from obverse.cli.bench_tables import print_report, report_json
    from obverse.core import ConfigError
    from obverse.recipes.bench.report import read_report, write_report_page, write_text
    from obverse.recipes.bench.tables import csv_text, latex, markdown
    from obverse.report.bench_figures import write_bench_figures
    from obverse.report.bench_sheets import all_sheets

    form = "json" if json else form
    if form not in FORMATS:
        raise ConfigError(f"There is no format {form!r}.", f"Choose among {', '.join(FORMATS)}.")
    report, found = read_report(folders, against)
    page = html
    if page is None and len(folders) == 1 and not any(one.of_rome for one in found):
        page = folders[0] / "report.html"
    written = [write_report_page(page, report, found)] if page else []
    written += write_bench_figures(report, figures) if figures else []
    if form == "table" and out is None:
        print_report(results(), report, against)
    elif form == "json" and out is None:
        print_json(report_json(report))
    else:
        text = {
            "table": lambda: markdown(all_sheets(report)),
            "markdown": lambda: markdown(all_sheets(report)),
            "latex": lambda: latex(all_sheets(report)),
            "csv": lambda: csv_text(report),
            "json": lambda: _text(report_json(report)),
        }[form]()
        if out is None:
            typer.echo(text, nl=False)
        else:
            written.append(write_text(out, text))
    console = results() if form == "table" and out is None else notes()
    for path in written:
        console.print(f"Written: {path}", markup=False)


def _text(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


@command
def bench_compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a benchmark's with --run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The other; it may be one of ROME's own.")],
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--run", help="Which run of a benchmark's folder; twice for one of each. \\[default: its only editor]"
        ),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, help="How many of the cases that differ most to list.")] = 10,
    force: Annotated[
        bool, typer.Option("--force", help="Compare the cases of one id although the data sets differ.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Hold two runs against each other, case by case.

    Shows every metric's difference with its 95 % interval and p-value, which settings differ, and the cases on which
    the runs differ most.
    """
    from obverse.cli.bench_tables import print_comparison
    from obverse.core import ConfigError
    from obverse.recipes.bench.comparison import compare_runs

    names = [*(label or []), None, None]
    if len(names) > 4:
        raise ConfigError(f"--run is given {len(names) - 2} times.", "Name one run, or one of each folder.")
    found = compare_runs(first, second, names[0], names[1], limit=cases, force=force)
    if json:
        print_json(found.to_json())
    else:
        print_comparison(results(), found)


REPORT_EPILOG = """
**Examples**

- `obverse bench report runs/bench-starter-gemma-3-270m`: tables on the screen, and report.html in the folder

- `obverse bench report runs/one runs/two --html both.html`: several benchmarks in one

- `obverse bench report runs/one --format latex --out table.tex --figures figures`

- `obverse bench report runs/one --against memit --format csv > table.csv`

- `obverse bench report results/ROME`: the folders of ROME's own program
"""

COMPARE_EPILOG = """
**Examples**

- `obverse bench compare runs/one/rome runs/one/memit`

- `obverse bench compare runs/one runs/two --run rome`: the same run of two benchmarks

- `obverse bench compare results/ROME/run_000 runs/one/rome --json`: ROME's own program and ours
"""
