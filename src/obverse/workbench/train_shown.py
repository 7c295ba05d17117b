"""What the tab Train & prefer answers to each choice."""

from __future__ import annotations

import gradio as gr

from obverse.workbench.fragments import note
from obverse.workbench.run_folders import RunFolders
from obverse.workbench.training_runs import has_tables, is_training, progress, sample_files, samples, tables
from obverse.workbench.view_train import progress_page, samples_page, tables_page
from obverse.workbench.wiring import Outputs, answered


def find(runs: RunFolders, chosen: str | None, chosen_tables: str | None) -> Outputs:
    """Return status, the training runs, and the runs with tables."""

    def work() -> Outputs:
        names = [one.name for one in runs.list()]
        training = [name for name in names if is_training(runs.get(name))]
        with_tables = [name for name in names if has_tables(runs.get(name))]
        return _choice(chosen, training), _choice(chosen_tables, with_tables)

    return answered(work, outputs=2)


def look(runs: RunFolders, name: str | None, chosen: str | None) -> Outputs:
    """Return status, how far a run is, its samples to choose from, and whether to look again."""

    def work() -> Outputs:
        if not name:
            text = f"No training run below {runs.root} yet. One of obverse train --out {runs.root}/NAME appears here."
            return note(text), _choice(None, []), gr.Timer(active=False)
        folder = runs.get(name)
        found = progress(folder)
        files = [f"{one.scenario} {one.step}" for one in sample_files(folder)]
        return progress_page(found), _choice(chosen, files), gr.Timer(active=not found.finished)

    return answered(work, outputs=3)


def read(runs: RunFolders, name: str | None, chosen: str | None) -> Outputs:
    """Return status and the samples that were chosen."""

    def work() -> Outputs:
        if not name:
            return ("",)
        scenario, _, step = (chosen or "").rpartition(" ")
        return (samples_page(samples(runs.get(name), scenario, int(step)) if step.isdecimal() else []),)

    return answered(work, outputs=1)


def show(runs: RunFolders, name: str | None) -> Outputs:
    """Return status and the tables of a run."""
    return answered(lambda: (tables_page(tables(runs.get(name))) if name else "",), outputs=1)


def _choice(chosen: str | None, choices: list[str]) -> gr.Dropdown:
    """Return choices; what was chosen stays if it is still there, else it is the first."""
    return gr.Dropdown(choices, value=chosen if chosen in choices else next(iter(choices), None))
