"""The tab Runs: browse, filter, open, compare, export."""

from __future__ import annotations

import gradio as gr

from obverse.workbench import runs_shown as shown
from obverse.workbench.style import own
from obverse.workbench.wiring import PRIVATE, Outputs, Shared


def runs_tab(shared: Shared, tab: gr.Tab) -> None:
    """Add the tab's content; runs are listed when it is opened."""
    runs = shared.desk.runs
    with gr.Row():
        find = gr.Textbox("", label="Filter", info="Words in name, kind or model", elem_id="runs-find", scale=3)
        kind = gr.Dropdown([shown.ANY], value=shown.ANY, label="Kind", info="The command", elem_id="runs-kind")
        refresh = gr.Button("Refresh", elem_id="runs-refresh", min_width=120, scale=0)
    status = gr.HTML(elem_id="runs-status", apply_default_css=False)
    listed = gr.HTML(elem_id="runs-list", apply_default_css=False, js_on_load=own("actions.js"))
    with gr.Accordion("Compare two", open=False, elem_id="runs-both"), gr.Row():
        first = gr.Dropdown([], label="First", elem_id="runs-first")
        second = gr.Dropdown([], label="Second", elem_id="runs-second")
        beside = gr.Button("Compare", elem_id="runs-compare", min_width=120, scale=0)
    compared = gr.HTML(elem_id="runs-compared", apply_default_css=False)
    name = gr.State("")
    with gr.Column(visible=False, elem_id="runs-open") as opened:
        with gr.Row():
            out = gr.Button("Export as a zip", elem_id="runs-export", min_width=180, scale=0)
            report = gr.Button("Read its report", elem_id="runs-report", min_width=180, scale=0)
        file = gr.File(label="Export", visible=False, interactive=False, elem_id="runs-file")
        own_page = gr.HTML(elem_id="runs-own-page", apply_default_css=False)
        page = gr.HTML(elem_id="runs-page", apply_default_css=False)
        with gr.Row():
            among = gr.Textbox("", label="Filter records", info="Words in a record", elem_id="runs-among", scale=3)
            number = gr.Number(1, label="Page", info="20 records each", precision=0, minimum=1, elem_id="runs-number")
        cases = gr.HTML(elem_id="runs-records", apply_default_css=False)

    def open_run(event: gr.EventData) -> Outputs:
        return shown.open_run(runs, str(event.name))

    looks = [refresh.click, find.change, kind.input, tab.select]
    gr.on(looks, lambda *a: shown.look(runs, *a), [find, kind], [status, listed, kind, first, second], **PRIVATE)
    listed.click(open_run, None, [status, name, opened, page, cases, number, file, own_page], **PRIVATE)
    turns, asked = [among.change, number.change], [name, among, number]
    gr.on(turns, lambda *a: shown.turn(runs, *a), asked, [status, cases], **PRIVATE)
    beside.click(lambda *a: shown.put_beside(runs, *a), [first, second], [status, compared], **PRIVATE)
    out.click(lambda chosen: shown.take(runs, chosen, shared.desk.scratch), [name], [status, file], **PRIVATE)
    report.click(lambda chosen: shown.read(runs, chosen), [name], [status, own_page], **PRIVATE)
