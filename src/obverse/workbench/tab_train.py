"""The tab Train & prefer: a training run as it goes, and the tables of the reversal curse."""

from __future__ import annotations

import gradio as gr

from obverse.workbench import train_shown as shown
from obverse.workbench.wiring import PRIVATE, Shared

EVERY = 3.0
"""Seconds between two looks at a run that is under way."""


def train_tab(shared: Shared, tab: gr.Tab) -> None:
    """Add the tab's content; runs are looked for when it is opened."""
    runs = shared.desk.runs
    gr.Markdown("Runs of `obverse train` below the folder of runs; those under way are looked at every few seconds.")
    with gr.Row():
        run = gr.Dropdown([], label="Training run", info="The latest first", elem_id="train-run", scale=3)
        file = gr.Dropdown([], label="Samples", info="Scenario and step", elem_id="train-samples")
        refresh = gr.Button("Refresh", elem_id="train-refresh", min_width=120, scale=0)
    status = gr.HTML(elem_id="train-status", apply_default_css=False)
    page = gr.HTML(elem_id="train-page", apply_default_css=False)
    texts = gr.HTML(elem_id="train-texts", apply_default_css=False)
    gr.Markdown("### Results: the reversal curse, reproductions")
    tables = gr.Dropdown(
        [], label="Run with tables", info="Of obverse reversal run, or obverse repro", elem_id="train-tables"
    )
    sheets = gr.HTML(elem_id="train-sheets", apply_default_css=False)
    timer = gr.Timer(EVERY, active=False)

    finds, looks = [refresh.click, tab.select], [run.change, refresh.click, timer.tick]
    gr.on(finds, lambda *a: shown.find(runs, *a), [run, tables], [status, run, tables], **PRIVATE)
    gr.on(looks, lambda *a: shown.look(runs, *a), [run, file], [status, page, file, timer], **PRIVATE)
    gr.on([run.change, file.change], lambda *a: shown.read(runs, *a), [run, file], [status, texts], **PRIVATE)
    shows = [tables.change, refresh.click]
    gr.on(shows, lambda chosen: shown.show(runs, chosen), [tables], [status, sheets], **PRIVATE)
