"""``obverse bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli import bench_report, options
from obverse.cli.completion import complete_dataset, complete_editors
from obverse.cli.console import command, notes, print_json, results

if TYPE_CHECKING:
    from rich.console import Console

    from obverse.recipes.bench import BenchPlan, BenchRequest
    from obverse.recipes.models import ModelChoice

_DATA, _METHOD, _MEASURE, _SPREAD = "Data", "Method", "What is measured", "Spreading the work"

bench_app = typer.Typer(
    name="bench", rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]}
)


def bench(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="starter (comes with the package), counterfact, zsre, multi-counterfact, or a CSV, JSON or JSONL file "
            "of facts.",
            autocompletion=complete_dataset,
            rich_help_panel=_DATA,
        ),
    ] = "starter",
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            "--method",
            help="Editors, with commas between: rome,ft-l,memit; see obverse list editors. The unedited model is "
            "always measured too.",
            autocompletion=complete_editors,
            rich_help_panel=_METHOD,
        ),
    ] = "rome",
    path: Annotated[
        Path | None, typer.Option(help="The data set's file, if you have it.", rich_help_panel=_DATA)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many cases at most. \\[default: all]", rich_help_panel=_DATA)
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Pass over so many cases first.", rich_help_panel=_DATA)] = 0,
    snippets: Annotated[
        Path | None,
        typer.Option(help="attribute_snippets.json, for reference score and essence.", rich_help_panel=_DATA),
    ] = None,
    tfidf: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="tfidf_vocab.json and idf.npy as published with ROME. \\[default: weights of the case's own "
            "references]",
            rich_help_panel=_DATA,
        ),
    ] = None,
    last_wins: Annotated[
        bool,
        typer.Option("--last-wins", help="Where facts edited together clash, keep the last.", rich_help_panel=_DATA),
    ] = False,
    schedule: Annotated[
        str,
        typer.Option(
            help="single: each fact on the fresh model. batch: --size facts by one edit. sequential: --size facts one "
            "upon the other, earlier ones asked again as they become more.",
            rich_help_panel=_METHOD,
        ),
    ] = "single",
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Facts in one edit or sequence. \\[default: all]", rich_help_panel=_METHOD),
    ] = None,
    step: Annotated[
        int, typer.Option(min=1, help="Facts written at each step of a sequence.", rich_help_panel=_METHOD)
    ] = 1,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of every method, or of one as method.key=value. Repeatable.",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="Run at each value: layers=[2],[3] or ft-l.learning_rate=1e-4,5e-4. Repeatable, which makes a grid.",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    generation: Annotated[
        bool,
        typer.Option(help="Continue open prompts, for n-gram entropy and reference score.", rich_help_panel=_MEASURE),
    ] = True,
    locality: Annotated[
        bool,
        typer.Option(
            help="Ask neighbours again with the edited statement before them, and take divergences.",
            rich_help_panel=_MEASURE,
        ),
    ] = True,
    drift_tokens: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Tokens of neutral text read under each edit; 0 for none. \\[default: 32 for single edits, else 256]",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(
            help="Tasks of lm-evaluation-harness, with commas between, run on the model before and after each method's "
            "edit of all cases (schedules batch and sequential).",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of sampled texts.", rich_help_panel=_MEASURE)] = 0,
    batch: Annotated[
        int, typer.Option(min=1, help="Cases edited and measured side by side.", rich_help_panel=_SPREAD)
    ] = 16,
    shard: Annotated[
        str,
        typer.Option(help="i/n: do the i-th of n parts, from 0; all write into one folder.", rich_help_panel=_SPREAD),
    ] = "0/1",
    ray: options.Ray = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers on the cluster.", rich_help_panel=_SPREAD)] = None,
    gpus_per_worker: options.GpusPerWorker = None,
    dry_run: options.DryRun = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the benchmark; a stopped one goes on. \\[default: runs/bench-DATASET-MODEL]"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete earlier runs of these methods there.")] = False,
    model: options.Model = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Run editors over a whole data set, and compare what held and what broke.

    Every number comes with its n and 95 % interval. A benchmark that was stopped goes on with the same command, and
    ends with the same table to the last digit.
    """
    if context.invoked_subcommand is not None:
        return

    @command
    def run() -> None:
        _bench(
            _request(
                dataset, methods, path, limit, skip, snippets, tfidf, last_wins,
                {"kind": schedule, "size": size, "step": step}, setting or [], sweep or [],
                {"generation": generation, "locality": locality, "drift_tokens": drift_tokens, "seed": seed},
                options.split(harness or ""),
                batch, shard, ray, workers, gpus_per_worker, dry_run, out, overwrite,
                options.model_choice(model, dtype, device, device_map, revision, trust),
            ),
            json=json,
        )  # fmt: skip

    run()


def _request(
    dataset: str, methods: str, path: Path | None, limit: int | None, skip: int, snippets: Path | None,
    tfidf: tuple[Path, Path] | None, last_wins: bool, schedule: dict[str, object], settings: list[str],
    sweep: list[str], measure: dict[str, object], harness: tuple[str, ...], batch: int, shard: str, ray: str | None,
    workers: int | None, gpus_per_worker: float | None, dry_run: bool, out: Path | None, overwrite: bool,
    model: ModelChoice,
) -> BenchRequest:  # fmt: skip
    from obverse.core import build
    from obverse.recipes.bench import BenchRequest, Schedule
    from obverse.recipes.record import slug
    from obverse.verifying.measures import MeasureConfig

    default = f"bench-{slug(Path(dataset).stem)}-{slug(model.name or 'gemma-3-270m')}"
    kind = str(schedule["kind"])
    return BenchRequest(
        dataset=dataset,
        methods=options.split(methods),
        out=out or Path("runs") / (default if kind == "single" else f"{default}-{kind}"),
        model=model,
        path=path,
        snippets=snippets,
        tfidf=tfidf,
        limit=limit,
        first=skip,
        schedule=build(Schedule, schedule),
        measure=build(MeasureConfig, measure),
        overrides=settings,
        sweep=sweep,
        harness=harness,
        batch=batch,
        shard=_shard(shard),
        ray=ray,
        workers=workers,
        gpus_per_worker=gpus_per_worker,
        last_wins=last_wins,
        replace=overwrite,
        dry_run=dry_run,
    )


def _bench(request: BenchRequest, *, json: bool) -> None:
    from obverse.cli.bench_tables import print_report
    from obverse.recipes.bench import run_bench
    from obverse.recipes.bench.report import read_report, write_report_files

    console = notes() if json else results()
    result = run_bench(request, lambda plan: _print_plan(console, plan, request.out))
    if json:
        print_json(result.to_json())
    if result.bench is None:
        return
    written = write_report_files(result.bench)
    if not json:
        print_report(console, read_report([request.out])[0])
    for path in written:
        notes().print(f"Written: {path}", markup=False)


def _shard(text: str) -> tuple[int, int]:
    from obverse.core import ConfigError

    part, sign, whole = text.partition("/")
    if not (sign and part.strip().isdecimal() and whole.strip().isdecimal()):
        raise ConfigError(f"--shard {text!r} is not of the form i/n.", "Write --shard 0/4 for the first of four parts.")
    return int(part), int(whole)


def _print_plan(console: Console, plan: BenchPlan, out: Path) -> None:
    from obverse.cli.tables import grid

    schedule = plan.schedule
    company = {
        "single": "each fact on the fresh model",
        "batch": f"{schedule.size or plan.cases} facts by one edit",
        "sequential": f"{schedule.size or plan.cases} facts one upon the other, {schedule.step} at a time",
    }[schedule.kind]
    rows = [
        ("model", plan.model),
        ("data set", f"{plan.dataset}: {plan.cases:,} cases"),
        ("probes", ", ".join(f"{count:,} {kind}" for kind, count in plan.probes.items())),
        ("schedule", f"{schedule.kind}: {company}"),
        *((label, _told(settings, plan.todo[label])) for label, settings in plan.runs.items()),
        ("folder", str(out)),
        *(("dropped", text) for text in plan.dropped),
    ]
    console.print(grid(rows))


def _told(settings: dict[str, object], todo: int) -> str:
    shown = ", ".join(f"{key}={value}" for key, value in settings.items() if not isinstance(value, dict))
    return f"{todo:,} to do" + (f" · {shown}" if shown else "")


EPILOG = """
**Examples**

- `obverse bench --methods rome,ft-l --limit 32`: the set that comes with the package

- `obverse bench -d counterfact --path counterfact.json --methods rome,ft,memit --limit 300 -m smollm2-135m`

- `obverse bench -d facts.csv --methods memit,emmet --schedule batch --size 100`

- `obverse bench --methods rome,alphaedit --schedule sequential --limit 200`

- `obverse bench --methods rome --sweep layers=[1],[2],[3] --limit 20`

- `obverse bench --methods rome --ray local --workers 4`; or `--shard 0/8` to `--shard 7/8` as jobs of their own

- `obverse bench report runs/bench-starter-gemma-3-270m`: tables, figures and a page

- `obverse bench compare runs/one/rome runs/two/rome`
"""

bench_app.command("report", epilog=bench_report.REPORT_EPILOG)(bench_report.bench_report)
bench_app.command("compare", epilog=bench_report.COMPARE_EPILOG)(bench_report.bench_compare)
bench_app.callback(invoke_without_command=True, epilog=EPILOG)(bench)
