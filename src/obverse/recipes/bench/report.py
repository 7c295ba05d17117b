"""The report of a benchmark: rows, paired tests, curves and cases; and the files that it is written as."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obverse.core import Interval, ObverseError, write_whole
from obverse.measuring.statistics import holm, mean_intervals
from obverse.recipes.bench.methods import UNEDITED
from obverse.recipes.bench.results import Bench, Point, Values, compare_values
from obverse.recipes.bench.sources import Source, about, find, read_benches, sources, with_unedited
from obverse.recipes.bench.tables import csv_text, markdown
from obverse.report.bench_figures import write_bench_figures
from obverse.report.bench_page import write_bench_page
from obverse.report.bench_rows import BenchReport, Comparison, Curve, Row
from obverse.report.bench_sheets import all_sheets

log = logging.getLogger(__name__)

MAIN = (
    "efficacy_success", "generalization_success", "specificity_success", "reverse_success", "efficacy_generated",
    "generalization_generated", "neighbour_kl",
)  # fmt: skip
"""Metrics that are tested."""

MAIN_WITHOUT_RIVALS = (
    "efficacy_token_accuracy", "generalization_token_accuracy", "specificity_token_accuracy",
    "reverse_token_accuracy", "efficacy_generated", "generalization_generated", "neighbour_kl",
)  # fmt: skip
"""The same for data sets without rival answers, as zsRE."""


def read_report(folders: Sequence[Path], against: str | None = None) -> tuple[BenchReport, list[Source]]:
    """Read folders of benchmarks, of runs or of ROME's program, as one report.

    Args:
        folders: At least one.
        against: Label of the run that all are tested against; by default the first editor's.

    Returns:
        The report, and the runs it is of.

    Raises:
        DataError: If a folder holds no run, or a record is damaged.
        UnknownName: If there is no such folder or run.
    """
    found = sources([bench for folder in folders for bench in read_benches(folder)])
    return make_report(found, against), found


def write_report_files(bench: Bench) -> list[Path]:
    """Write a benchmark's tables, figures and page into its folder, and return where.

    ``table.md`` and ``table.csv`` hold nothing but what the records say, so that they are equal after a resume; figures
    are left out where matplotlib is missing.
    """
    found = sources([with_unedited(bench)])
    report = make_report(found)
    written = [
        write_text(bench.folder / "table.md", markdown(all_sheets(report))),
        write_text(bench.folder / "table.csv", csv_text(report)),
    ]
    try:
        written += write_bench_figures(report, bench.folder / "figures", ("svg",))
    except ObverseError as error:
        log.info("no figures: %s", error)
    return [*written, write_report_page(bench.folder / "report.html", report, found)]


def write_report_page(path: Path, report: BenchReport, found: Sequence[Source]) -> Path:
    """Write the page of a report and return where.

    Args:
        path: Where.
        report: The report.
        found: The runs it is of; their records are read again for the cases that the page shows.
    """
    from obverse.recipes.bench.cases import case_rows

    rows, total = case_rows(found)
    return write_bench_page(path, report, rows, total)


def write_text(path: Path, text: str) -> Path:
    """Write a text file as a whole and return where."""
    write_whole(path, lambda part: part.write_text(text, "utf-8"))
    return path


def make_report(found: Sequence[Source], against: str | None = None) -> BenchReport:
    """Sum up runs as a report; see `read_report`."""
    edited = [one for one in found if not one.baseline]
    base = find(found, against) if against else edited[0] if edited else None
    seconds = [base] if base else []
    seconds += [one for one in found if one.baseline and one is not base]
    return BenchReport(
        title=_title(found),
        rows=tuple(_row(one, one.bench.final(one.key)) for one in found),
        comparisons=tuple(test for second in seconds for test in _tests(edited, second)),
        curves=tuple(_curve(one) for one in edited if one.run.schedule == "sequential" and one.run.last),
        notes=tuple(_notes(found)),
        origin=_origin(found),
    )


def _row(source: Source, point: Point) -> Row:
    run = source.run
    return Row(
        label=source.label,
        method=run.method,
        schedule=run.schedule,
        after=point.after,
        n=point.n,
        failed=point.failed,
        broken=point.broken,
        metrics=point.metrics,
        baseline=source.baseline,
        collapsed=point.collapsed,
        seconds=None if source.baseline else run.seconds,
        point=swept(source.key),
        printed=source.printed,
    )


def swept(label: str) -> dict[str, str]:
    """Return the settings that a run's label says a sweep gave it: ``rome,layers=[3]`` has layers."""
    out: dict[str, str] = {}
    depth, part, parts = 0, "", list[str]()
    for sign in label:
        depth += (sign in "[({") - (sign in "])}")
        if sign == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += sign
    for text in [*parts, part][1:]:
        key, equals, value = text.partition("=")
        if equals:
            out[key] = value
    return out


def _tests(edited: Sequence[Source], second: Source) -> list[Comparison]:
    """Test each editor against one run, corrected over all of these tests."""
    theirs = second.values()
    found: list[tuple[str, str, Any]] = []
    for one in edited:
        if one is second:
            continue
        own = one.values()
        rivals = any("efficacy_success" in values for values in own.values())
        names = MAIN if rivals else MAIN_WITHOUT_RIVALS
        if second.baseline:  # a divergence from it is 0 for itself
            names = tuple(name for name in names if name != "neighbour_kl")
        compared = compare_values(_only(own, names), _only(theirs, names))
        found += [(one.label, name, compared[name]) for name in names if name in compared]
    corrected = holm([pair.p for _, _, pair in found])
    return [
        Comparison(label, second.label, name, pair, p)
        for (label, name, pair), p in zip(found, corrected, strict=True)
    ]  # fmt: skip


def _only(values: Values, names: Sequence[str]) -> Values:
    return {case: {name: own[name] for name in names if name in own} for case, own in values.items()}


def _curve(source: Source) -> Curve:
    metric = "efficacy_success"
    if not any(metric in case.values for case in source.run.cases):
        metric = "efficacy_token_accuracy"
    points = tuple(_row(source, point) for point in source.bench.points(source.key))
    return Curve(source.label, points, _forgetting(source, metric), metric)


def _forgetting(source: Source, metric: str) -> dict[int, Interval]:
    """Return a metric by how many facts were written since, at the last point: 0, 1, 2-4, 5-9, 10-19, 20-49 ..."""
    run, last = source.run, source.run.last
    size = run.config["schedule"].get("size")
    values = source.values()
    ages: dict[int, list[float]] = {}
    for case in run.cases:
        if case.after == last and metric in values[case.case]:
            place = case.place % size if size else case.place
            ages.setdefault(_age(last - 1 - place), []).append(values[case.case][metric])
    kept = {age: ages[age] for age in sorted(ages)}
    return dict(zip(kept, mean_intervals([*kept.values()], [True] * len(kept)), strict=True))


def _age(edits: int) -> int:
    """Return the lower end of the bin that a number of edits lies in."""
    if edits < 1:
        return 0
    power = 10 ** (len(str(edits)) - 1)
    return max(lead * power for lead in (1, 2, 5) if lead * power <= edits)


def _notes(found: Sequence[Source]) -> list[str]:
    notes: list[str] = []
    digests = {(one.run.config.get("dataset") or {}).get("digest") for one in found if not one.of_rome}
    if len(digests) > 1 or (digests and any(one.of_rome for one in found)):
        notes.append("The runs are not all known to be of one data set: tests are over the cases of one id.")
    ns = {one.label: len(one.values()) for one in found}
    if len(set(ns.values())) > 1:
        counts = ", ".join(f"{label} {n:,}" for label, n in ns.items())
        notes.append(f"The runs have different numbers of cases: {counts}. Means are over each run's own.")
    if not any(one.baseline for one in found):
        notes.append("The unedited model was not measured: failed edits have no values.")
    return notes


def _title(found: Sequence[Source]) -> str:
    sets = dict.fromkeys((one.run.config.get("dataset") or {}).get("name", "ROME's results") for one in found)
    models = dict.fromkeys(name for one in found if (name := (about(one).get("model") or {}).get("name")))
    return " and ".join(sets) + (f" on {' and '.join(models)}" if models else "")


def _origin(found: Sequence[Source]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    versions: dict[str, Any] = {}
    for one in found:
        told = about(one)
        versions |= told.get("versions") or {}
        settings = {name: value for name, value in one.run.config.items() if name not in ("settings", "method")}
        own = one.run.config.get("settings") or {}
        if one.key != UNEDITED:
            out[f"Settings of {one.label}"] = {**own, "schedule": settings.get("schedule")}
        else:
            out[f"What was measured ({one.label})"] = {
                name: value for name, value in settings.items() if name != "schedule"
            }
    return {**out, "Versions": versions}
