"""What the tab Runs answers to each click."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import gradio as gr

from obverse.core import ObverseError, UnknownName
from obverse.workbench.fragments import done
from obverse.workbench.run_details import compare, export, numbers, records, settings
from obverse.workbench.run_folders import RunFolders
from obverse.workbench.view_runs import compare_page, framed_report, list_page, records_page, run_page
from obverse.workbench.wiring import Outputs, answered

ANY = "any"
REPORT = "report.html"


def look(runs: RunFolders, words: str, kind: str) -> Outputs:
    """Return status, the runs that fit, and the choices of kinds and of runs to compare."""

    def work() -> Outputs:
        everything = runs.list()
        fitting = runs.list(words, "" if kind == ANY else kind)
        names, kinds = [one.name for one in everything], [ANY, *sorted({one.kind for one in everything})]
        chosen = gr.Dropdown(kinds, value=kind if kind in kinds else ANY)
        return list_page(fitting, str(runs.root)), chosen, gr.Dropdown(names), gr.Dropdown(names)

    return answered(work, outputs=4)


def open_run(runs: RunFolders, name: str) -> Outputs:
    """Return status, name, that the run is shown, results, records, the page's number, no file and no report."""

    def work() -> Outputs:
        folder = runs.get(name)
        shown = run_page(name, numbers(folder), settings(folder))
        return name, gr.Column(visible=True), shown, records_page(records(folder)), 1, gr.File(visible=False), ""

    return answered(work, outputs=7)


def turn(runs: RunFolders, name: str, words: str, page: float | None) -> Outputs:
    """Return status and a page of records."""
    return answered(
        lambda: (records_page(records(runs.get(name), words, int(page or 1))),) if name else ("",), outputs=1
    )


def put_beside(runs: RunFolders, first: str | None, second: str | None) -> Outputs:
    """Return status and two runs side by side."""

    def work() -> Outputs:
        if not first or not second:
            raise ObverseError("Two runs are compared, but fewer are chosen.", "Choose a first and a second.")
        return (compare_page(first, second, compare(runs.get(first), runs.get(second))),)

    return answered(work, outputs=1)


def take(runs: RunFolders, name: str, scratch: Path) -> Outputs:
    """Return status and a run as a file to download."""

    def work() -> Outputs:
        path, left_out = export(runs.get(name), scratch)
        text = f" Not in it (checkpoints, large files, links): {', '.join(left_out[:5])}." if left_out else ""
        return done(f"Ready below: {path.name}.{text}"), gr.File(str(path), visible=True)

    error, said, file = answered(work, outputs=2)
    return error or said, file


def read(runs: RunFolders, name: str) -> Outputs:
    """Return status and a run's own report, or that of the run it is a part of."""

    def work() -> Outputs:
        folders = [runs.get(name)]
        with suppress(UnknownName):
            folders.append(runs.get(name.rpartition("/")[0]))
        path = next((path for folder in folders if (path := folder / REPORT).is_file()), None)
        if path is None:
            raise ObverseError(f"{name} has no report.", "A run writes its report when it is done.")
        return (framed_report(path.read_text("utf-8")),)

    return answered(work, outputs=1)
