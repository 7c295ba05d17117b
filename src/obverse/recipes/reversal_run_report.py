"""The files of ``obverse reversal run``: figures, a page, and tables in the formats people paste."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.core import write_whole
from obverse.core.plotting import write_figure
from obverse.locating.trace import TraceKind
from obverse.recipes.bench.tables import latex, markdown
from obverse.recipes.repro_reversal_plan import LEFT
from obverse.recipes.repro_reversal_results import FORWARD, REVERSE
from obverse.recipes.reversal_run_edit import edit_sheet, read_edits
from obverse.recipes.reversal_run_plan import FACTS
from obverse.recipes.reversal_run_results import BASE, RunResults
from obverse.recipes.reversal_run_tables import csv_text, named, sheets
from obverse.recipes.reversal_run_trace import KINDS, Table, differences, read_traces, trace_sheet, traces_json
from obverse.report.bench_sheets import Sheet
from obverse.report.reversal_figures import Group, Violin, bars, violins, write_bars, write_violins
from obverse.report.reversal_page import Figure, Question, svg_of, write_reversal_page
from obverse.report.reversal_trace_figure import Column, maps

FORMATS = ("table", "markdown", "latex", "csv", "json")
"""What tables can be printed as."""

SHOWN = 12
"""Persons of a subtask whose answers are on the page, of the first seed."""


def write_files(results: RunResults, command: str | None = None) -> list[Path]:
    """Write report, page and figures into a run's folder, and return where; figures need matplotlib."""
    text = formatted(results, "markdown")
    report = results.folder / "report.md"
    write_whole(report, lambda part: part.write_text(text, "utf-8"))
    figures = write_figures(results, results.folder) if find_spec("matplotlib") else []
    return [report, write_page(results, results.folder / "report.html", command), *figures]


def formatted(results: RunResults, form: str) -> str:
    """Return all tables as text.

    Args:
        results: The run.
        form: Of `FORMATS`; ``table`` is Markdown too.
    """
    if form == "json":
        return json.dumps(whole_json(results), ensure_ascii=False, indent=1) + "\n"
    if form == "csv":
        return csv_text(results)
    found = all_sheets(results)
    return latex(found) if form == "latex" else "# The reversal curse\n\n" + markdown(found)


def all_sheets(results: RunResults) -> list[Sheet]:
    """Return every table: answers, and what ``--then`` found."""
    edited, found = read_edits(results.folder, results.config), read_traces(results.folder, results.config)
    more = [edit_sheet(edited, facts) for facts in FACTS] + [trace_sheet(found, facts) for facts in FACTS]
    return [*sheets(results), *(sheet for sheet in more if sheet is not None)]


def whole_json(results: RunResults) -> dict[str, Any]:
    """Return everything that was found as JSON values."""
    edited, found = read_edits(results.folder, results.config), read_traces(results.folder, results.config)
    return {**results.to_json(), "edits": [one.to_json() for one in edited], "traces": traces_json(found)}


def write_figures(results: RunResults, folder: Path) -> list[Path]:
    """Write bars of right answers in both wordings, and the violins of each objective, as PNG and SVG.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    written: list[Path] = []
    for wordings in ("training", "held-out"):
        if found := groups(results, wordings):
            written += write_bars(found, folder, f"right-{wordings}")
    for name in results.objectives:
        if found := densities(results, name):
            written += write_violins(found, folder, f"logprobs-{name}")
    for facts, columns in trace_columns(results).items():
        drawn = maps(columns)
        written += [write_figure(drawn, folder / f"trace-{facts}.{ending}") for ending in ("png", "svg")]
    return written


def trace_columns(results: RunResults) -> dict[str, list[Column]]:
    """Return the maps of what was traced, by the facts: a column a model, then what next-token prediction has more."""
    found = read_traces(results.folder, results.config)
    out: dict[str, list[Column]] = {}
    for facts in dict.fromkeys(one.facts for one in found):
        here = [one for one in found if one.facts == facts]
        columns = [Column(one.objective, {kind: one.mean(kind) for kind in KINDS}) for one in here]
        base = next((one for one in here if one.objective == BASE), None)
        for one in here:
            if base is not None and one is not base:
                tables: dict[TraceKind, Table] = {kind: differences(base, one, kind)[0] for kind in KINDS}
                columns.append(Column(f"{BASE} less {one.objective}", tables, difference=True))
        out[facts] = columns
    return out


def groups(results: RunResults, wordings: str) -> list[Group]:
    """Return the bars of each objective and way."""
    found: list[Group] = []
    for name, way in results.ways:
        shares = {
            subtask: results.summaries[place].values["greedy"]
            for subtask in results.subtasks
            if (place := (name, way, wordings, subtask)) in results.summaries
        }
        found += [Group(named(name, way), shares)] if shares else []
    return found


def densities(results: RunResults, objective: str) -> list[Violin]:
    """Return log-probabilities of right and random answers by person, held-out wordings; none of a single person."""
    way = next((way for name, way in results.ways if name == objective), LEFT)
    found: list[Violin] = []
    for subtask in (*FORWARD, *REVERSE):
        by_person: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for one in results.answers.get((objective, way, "held-out", subtask), ()):
            if one.logprob is not None and one.random_logprob is not None:
                by_person.setdefault(one.unit, []).append((one.logprob, one.random_logprob))
        means = [[sum(column) / len(of) for column in zip(*of, strict=True)] for of in by_person.values()]
        if len(means) > 1:
            found.append(Violin(subtask, tuple(mean[0] for mean in means), tuple(mean[1] for mean in means)))
    return found


def write_page(results: RunResults, path: Path, command: str | None = None) -> Path:
    """Write the page of a run and return where."""
    drawn: list[Figure] = []
    if find_spec("matplotlib"):
        for wordings in ("training", "held-out"):
            if found := groups(results, wordings):
                drawn.append(Figure(f"Right answers, {wordings} wordings", svg_of(bars(found)), "bars"))
        for name in results.objectives:
            if found := densities(results, name):
                title = f"{name}: how likely right and random answers are, held-out wordings"
                drawn.append(Figure(title, svg_of(violins(found)), "violins"))
        for facts, columns in trace_columns(results).items():
            drawn.append(Figure(f"Where the forward fact sits ({facts})", svg_of(maps(columns)), "maps"))
    seconds = {f"training {name}": results.seconds(name) for name in results.objectives}
    first = results.records[0]
    return write_reversal_page(
        path, _title(results), all_sheets(results), drawn, _questions(results), whole_json(results),
        settings=dict(results.config), versions=first["versions"], seconds=seconds, command=command,
    )  # fmt: skip


def _title(results: RunResults) -> str:
    seeds = max(len(results.seeds(name)) for name in results.objectives)
    count = f"{seeds} seed{'s' if seeds > 1 else ''}"
    return f"{', '.join(results.objectives)} on {Path(str(results.config['model'])).name}, {count}"


def _questions(results: RunResults) -> list[Question]:
    """Return what the page shows of single answers: the first persons, held-out wordings, one seed."""
    found: list[Question] = []
    for (objective, way, wordings, subtask), answers in results.answers.items():
        if wordings != "held-out" or objective not in results.objectives:
            continue
        seen: dict[int, Any] = {}
        for one in answers:
            if len(seen) < SHOWN and one.run == answers[0].run:
                seen.setdefault(one.prompt.entity, one)
        found += [Question(named(objective, way), subtask, one) for one in seen.values()]
    return found


def write_text(path: Path, text: str) -> Path:
    """Write a text file as a whole and return where."""
    write_whole(path, lambda part: part.write_text(text, "utf-8"))
    return path
