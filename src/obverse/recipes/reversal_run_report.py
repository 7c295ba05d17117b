"""The files of ``obverse reversal run``: figures, a page, and tables in the formats people paste."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.core import write_text
from obverse.core.plotting import write_figure
from obverse.locating.trace import TraceKind
from obverse.recipes.bench.tables import latex, markdown
from obverse.recipes.repro_reversal_figures import violin
from obverse.recipes.repro_reversal_plan import LEFT
from obverse.recipes.repro_reversal_results import FORWARD, REVERSE
from obverse.recipes.reversal_run_edit import edit_sheet
from obverse.recipes.reversal_run_plan import FACTS
from obverse.recipes.reversal_run_results import BASE, RunResults
from obverse.recipes.reversal_run_tables import csv_text, named, sheets
from obverse.recipes.reversal_run_trace import (
    KINDS,
    Table,
    differences,
    trace_sheet,
    traces_json,
    window_layers,
)
from obverse.report.bench_sheets import Sheet
from obverse.report.reversal_drawn import Figure, bars_figure, maps_figure, violins_figure
from obverse.report.reversal_figures import Group, Violin
from obverse.report.reversal_page import Question, write_reversal_page
from obverse.report.reversal_trace_figure import Column, maps

SHOWN = 12
"""Persons of a subtask whose answers are on the page, of the first seed."""


def write_files(results: RunResults, command: str | None = None) -> list[Path]:
    """Write report, page and figures into a run's folder, and return where; figures need matplotlib."""
    folder, can_draw = results.folder, find_spec("matplotlib") is not None
    drawn = charts(results) if can_draw else {}
    report = write_text(folder / "report.md", formatted(results, "markdown"))
    figures = write_figures(results, folder, drawn) if can_draw else []
    return [report, write_page(results, folder / "report.html", command, drawn), *figures]


def formatted(results: RunResults, form: str) -> str:
    """Return all tables as text.

    Args:
        results: The run.
        form: ``markdown``, ``latex``, ``csv`` or ``json``; ``table`` is Markdown too.
    """
    if form == "json":
        return json.dumps(whole_json(results), ensure_ascii=False, indent=1) + "\n"
    if form == "csv":
        return csv_text(results)
    found = all_sheets(results)
    return latex(found) if form == "latex" else "# The reversal curse\n\n" + markdown(found)


def all_sheets(results: RunResults) -> list[Sheet]:
    """Return every table: answers, and what ``--then`` found."""
    more = [edit_sheet(results.edits, facts) for facts in FACTS]
    more += [trace_sheet(results.traces, facts) for facts in FACTS]
    return [*sheets(results), *(sheet for sheet in more if sheet is not None)]


def whole_json(results: RunResults) -> dict[str, Any]:
    """Return everything that was found as JSON values."""
    edits = [one.to_json() for one in results.edits]
    return {**results.to_json(), "edits": edits, "traces": traces_json(results.traces)}


def charts(results: RunResults) -> dict[str, Figure]:
    """Return bars of right answers in both wordings, and the violins of each objective, by the name of their file.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    drawn: dict[str, Figure] = {}
    for wordings in ("training", "held-out"):
        if found := groups(results, wordings):
            drawn[f"right-{wordings}"] = bars_figure(f"Right answers, {wordings} wordings", found)
    for name in results.objectives:
        if found := densities(results, name):
            title = f"{name}: how likely right and random answers are, held-out wordings"
            drawn[f"logprobs-{name}"] = violins_figure(title, found)
    return drawn


def write_figures(results: RunResults, folder: Path, drawn: Mapping[str, Figure] | None = None) -> list[Path]:
    """Write `charts`, and maps of what was traced, as PNG and SVG.

    Args:
        results: The run.
        folder: Where.
        drawn: The charts, where they are drawn already.

    Raises:
        ObverseError: If matplotlib is not installed.
    """
    found = {name: one.drawn for name, one in (charts(results) if drawn is None else drawn).items()}
    found |= {f"trace-{facts}": maps(columns) for facts, columns in trace_columns(results).items()}
    return [
        write_figure(figure, folder / f"{name}.{ending}")
        for name, figure in found.items()
        if not isinstance(figure, str)
        for ending in ("png", "svg")
    ]


def trace_columns(results: RunResults) -> dict[str, list[Column]]:
    """Return the maps of what was traced, by the facts: a column a model, then what next-token prediction has more."""
    out: dict[str, list[Column]] = {}
    for facts in dict.fromkeys(one.facts for one in results.traces):
        here = [one for one in results.traces if one.facts == facts]
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
    found = [
        violin(subtask, results.answers.get((objective, way, "held-out", subtask), ()))
        for subtask in (*FORWARD, *REVERSE)
    ]
    return [one for one in found if len(one.right) > 1]


def write_page(
    results: RunResults, path: Path, command: str | None = None, drawn: Mapping[str, Figure] | None = None
) -> Path:
    """Write the page of a run and return where.

    Args:
        results: The run.
        path: Where.
        command: The command line that made the run.
        drawn: The `charts`, where they are drawn already.
    """
    if drawn is None:
        drawn = charts(results) if find_spec("matplotlib") else {}
    figures = [*drawn.values()]
    for facts, columns in trace_columns(results).items():
        window = window_layers(columns[0].tables["hidden"].shape[1])
        figures.append(maps_figure(f"Where the forward fact sits ({facts})", columns, window))
    seconds = {f"training {name}": results.seconds(name) for name in results.objectives}
    first = results.records[0]
    return write_reversal_page(
        path, _title(results), all_sheets(results), figures, _questions(results), whole_json(results),
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
