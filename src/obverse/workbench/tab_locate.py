"""The tab Locate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from obverse.workbench.desk import known
from obverse.workbench.form import FactForm
from obverse.workbench.jobs import Job
from obverse.workbench.style import own
from obverse.workbench.tracing import MAPS, Located, best_layer, keep_trace, locate
from obverse.workbench.view_trace import chosen, located_page
from obverse.workbench.visitors import Visitor
from obverse.workbench.wiring import AT_ONCE, PRIVATE, Outputs, Shared, cancel_button, start_button, streamed

if TYPE_CHECKING:
    from obverse.workbench.tab_edit import EditTab


@dataclass(frozen=True, slots=True)
class LocateTab:
    """What other tabs are given of this one: the prompt that is traced, the layer chosen, the maps."""

    prompt: gr.Textbox
    subject: gr.Textbox
    layer: gr.Textbox
    to_edit: gr.Button
    page: gr.HTML

    def hand_on(self, shared: Shared, edit: EditTab) -> None:
        """Let the prompt be edited at the layer that was chosen."""
        self.layer.change(lambda layer: layer, [self.layer], [edit.layers], **PRIVATE)
        self.to_edit.click(
            lambda prompt, subject: (prompt, subject, gr.Tabs(selected="edit")),
            [self.prompt, self.subject],
            [edit.prompt, edit.subject, shared.tabs],
            **AT_ONCE,
        )


def shown_trace(visitor: Visitor | None) -> str:
    """Return a visitor's last trace as it is shown."""
    return located_page(visitor.located) if visitor and visitor.located else ""


def locate_tab(shared: Shared) -> LocateTab:
    """Add the tab's content."""
    desk = shared.desk
    with gr.Row():
        prompt = gr.Textbox(
            "The Space Needle is in the city of",
            label="Prompt",
            info="Ends where the answer starts",
            elem_id="locate-prompt",
            scale=3,
        )
        subject = gr.Textbox(
            "Space Needle", label="Subject", info="What is corrupted; empty: guessed", elem_id="locate-subject"
        )
    with gr.Accordion("Settings", open=False), gr.Row():
        kinds = gr.CheckboxGroup(list(MAPS), value=list(MAPS), label="Maps", elem_id="locate-kinds")
        samples = gr.Slider(1, 50, 10, step=1, label="Noise samples", elem_id="locate-samples")
        window = gr.Slider(1, 30, 10, step=1, label="Layers restored together (MLP, attention)")
        noise = gr.Textbox("s3", label="Noise", info="s3: 3 sigma; 0.1: absolute; u0.5, m, t5")
    with gr.Row():
        go = start_button(shared, "Trace", "locate-go")
        cancel_button(shared, "locate")
        to_edit = gr.Button("Edit at the layer chosen →", elem_id="locate-to-edit", min_width=300, scale=0)
        keep = start_button(shared, "Keep as a run", "locate-keep", "secondary")
    status = gr.HTML(elem_id="locate-status", apply_default_css=False)
    layer = gr.Textbox("", visible=False)
    choice = gr.Markdown("", elem_id="locate-choice")
    page = gr.HTML(elem_id="locate-page", apply_default_css=False, js_on_load=own("heat.js"))

    def trace(
        visitor: Visitor | None,
        model: str,
        prompt: str,
        subject: str,
        kinds: list[str],
        samples: int,
        window: int,
        noise: str,
    ) -> Iterator[Outputs]:
        def work(job: Job[Located]) -> Located:
            settings = {"samples": int(samples), "window": int(window), "noise": noise.strip()}
            found = locate(desk, job, model, FactForm.of(subject=subject, prompt=prompt), kinds, **settings)
            known(visitor).located = found
            return found

        def finish(found: Located) -> Outputs:
            best = best_layer(found.trace)
            if best is None:
                return located_page(found), gr.skip(), gr.skip()
            return located_page(found), str(best), chosen(best, found.trace)

        def meanwhile(found: Located) -> Outputs:
            return located_page(found), gr.skip(), gr.skip()

        yield from streamed(desk, visitor, "locate", work, finish, meanwhile, outputs=3)

    def pick(visitor: Visitor | None, event: gr.EventData) -> tuple[str, str]:
        picked = int(event.layer)
        found = visitor.located if visitor else None
        return str(picked), chosen(picked, found.trace if found else None)

    def keep_it(visitor: Visitor | None) -> Iterator[Outputs]:
        yield from streamed(
            desk,
            visitor,
            "keep",
            lambda _: keep_trace(desk, known(visitor)),
            lambda _: (),
            outputs=0,
            said=lambda path: f"Kept among the runs as {path.name}.",
        )

    asked = [shared.visitor, shared.model, prompt, subject, kinds, samples, window, noise]
    gr.on([go.click, prompt.submit, subject.submit], trace, asked, [status, page, layer, choice], **PRIVATE)
    page.click(pick, [shared.visitor], [layer, choice], **PRIVATE)
    keep.click(keep_it, [shared.visitor], [status], **PRIVATE)
    return LocateTab(prompt, subject, layer, to_edit, page)
