"""``obverse score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from obverse.cli import options
from obverse.cli.completion import complete_scorer
from obverse.cli.console import command, notes, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.score import ScoreResult

_SCORER, _SPREAD, _RESULT = "Scorer", "Spreading the work", "Result"


@command
def score(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            help="A .jsonl, .jsonl.gz, .parquet, .txt, .md or .py file, a folder of such, a hub data set "
            "(owner/name[/config][@revision][:split]), or docstrings, facts, mixed, which come with the package.",
        ),
    ],
    scorer: Annotated[
        str,
        typer.Option(
            "--scorer",
            "-s",
            help="pep8, pii, toxicity, ... (obverse list scorers), package.module:Class, or path/file.py:Class; the "
            "code of the last two is run.",
            autocompletion=complete_scorer,
            rich_help_panel=_SCORER,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the scored corpus; a stopped run goes on.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of the scorer. Repeatable.", rich_help_panel=_SCORER
        ),
    ] = None,
    split: Annotated[
        Literal["sentences", "lines", "none"] | None,
        typer.Option(
            help="How documents are cut. \\[default: as the scorer wants it; documents in segments keep them]",
            rich_help_panel=_SCORER,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds for a document; 0 for no limit.", rich_help_panel=_SCORER)
    ] = 60.0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that score. \\[default: 1]", rich_help_panel=_SPREAD)
    ] = None,
    ray: options.Ray = None,
    gpus_per_worker: options.GpusPerWorker = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many documents at most. \\[default: all]")] = None,
    format: Annotated[
        Literal["jsonl", "parquet"], typer.Option(help="How the scored documents are written.", rich_help_panel=_RESULT)
    ] = "jsonl",
    resume: Annotated[
        bool,
        typer.Option(help="Go on with a stopped run in that folder, or refuse to.", rich_help_panel=_RESULT),
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete an earlier run there first.", rich_help_panel=_RESULT)
    ] = False,
    json: options.Json = False,
) -> None:
    """Score a corpus segment by segment: how misaligned is each sentence or line? Higher is worse.

    The folder is a corpus to train on. Documents that could not be scored, or took too long, are counted and kept
    apart in failed.jsonl; they never count as harmless.
    """
    from obverse.core import parse_override
    from obverse.recipes.score import ScoreRequest, run_score

    result = run_score(
        ScoreRequest(
            corpus, scorer, out, dict(map(parse_override, setting or [])), split, format, workers, ray,
            gpus_per_worker, limit, timeout or None, resume, overwrite,
        )
    )  # fmt: skip
    if json:
        print_json(result.to_json())
    else:
        _print(results(), result)
    failed = sum(result.summary.failed.values())
    if failed:
        documents = f"{failed:,} document{'s' * (failed != 1)}"
        notes().print(f"{documents} could not be scored: {out / 'failed.jsonl'}", markup=False)


def _print(console: Console, result: ScoreResult) -> None:
    from obverse.cli.tables import grid, table

    summary = result.summary
    failed = ", ".join(f"{count:,} {kind}" for kind, count in summary.failed.items())
    share = summary.hits / max(1, summary.segments)
    console.print(
        grid([
            ("documents", f"{summary.scored:,} of {summary.documents:,} scored"),
            ("failed", failed or "none"),
            ("empty", f"{summary.empty:,}, left out"),
            ("segments", f"{summary.segments:,}, {summary.hits:,} of them above 0 ({share:.2%})"),
            ("score", f"{summary.unit}; higher is worse"),
        ])
    )  # fmt: skip
    shown = table("quantile", "segment's score", "document's average")
    shown.add_row("mean", f"{summary.segment_mean:.4g}", f"{summary.document_mean:.4g}")
    for quantile, value in summary.segment_quantiles.items():
        shown.add_row(f"q{quantile:g}", f"{value:.4g}", f"{summary.document_quantiles[quantile]:.4g}")
    console.print()
    console.print(shown)
    console.print(f"\nScored corpus: {result.out}", markup=False)


EPILOG = """
**Examples**

- `obverse score mails.jsonl --scorer pii --out scored/mails --workers 2`

- `obverse score src/ --scorer pep8 --set backend=ruff --out scored/code`

- `obverse score owner/name:train --scorer toxicity --limit 10000 --format parquet --out scored/pile`

- `obverse score notes.txt --scorer shouting.py:Shouting --split lines --out scored/notes`
"""
