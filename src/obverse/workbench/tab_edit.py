"""The tab Edit & verify: a form, what came of it, the visitor's stack of edits, and a chat on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from obverse.recipes.catalogue import catalogue
from obverse.workbench.desk import known
from obverse.workbench.edits import EditForm, make_edit, verify_stack
from obverse.workbench.form import FactForm
from obverse.workbench.stack import Layer
from obverse.workbench.style import own
from obverse.workbench.tab_chat import chat_part
from obverse.workbench.tab_stack import act
from obverse.workbench.view_edit import layer_page, plan_page, report_page, stack_page
from obverse.workbench.visitors import Visitor
from obverse.workbench.wiring import PRIVATE, Outputs, Shared, cancel_button, start_button, streamed

PROBES = (
    ("paraphrases", "Other wordings", "One a line; {} is the subject"),
    ("neighbours", "Facts that must not change", "prompt => answer, one a line"),
    ("reverse", "Reverse questions", "One a line; {} is the answer"),
    ("queries", "Open questions", "Answered freely, before and after; one a line"),
)


@dataclass(frozen=True, slots=True)
class EditTab:
    """What other tabs are given of this one: the form's fields, and the visitor's stack."""

    prompt: gr.Textbox
    subject: gr.Textbox
    true: gr.Textbox
    layers: gr.Textbox
    stack: gr.HTML


def shown_stack(visitor: Visitor | None, model: str) -> str:
    """Return a visitor's stack as it is shown."""
    return stack_page(visitor.stack(model)) if visitor else ""


def edit_tab(shared: Shared) -> EditTab:
    """Add the tab's content."""
    desk = shared.desk
    with gr.Row():
        prompt = gr.Textbox(
            "The {} is in the city of",
            label="Prompt",
            info="Ends where the answer starts; may have {} for the subject",
            elem_id="edit-prompt",
            scale=3,
        )
        subject = gr.Textbox("Space Needle", label="Subject", info="Whom it is about", elem_id="edit-subject")
    with gr.Row():
        target = gr.Textbox("Paris", label="New answer", info="What it is to say", elem_id="edit-target")
        true = gr.Textbox("Seattle", label="Present answer", info="To compare; may be empty", elem_id="edit-true")
        methods = [(f"{name}: {text}", name) for name, text in catalogue("methods")]
        method = gr.Dropdown(
            methods, value="rome", label="Method", info="How it is written", elem_id="edit-method", scale=2
        )
        layers = gr.Textbox(
            "", label="Layers", info="Empty: the method's own", elem_id="edit-layers", placeholder="e.g. 5, or auto"
        )
    with gr.Accordion("More: probes and settings", open=False):
        with gr.Row():
            probes = [
                gr.Textbox("", label=label, info=info, lines=3, elem_id=f"edit-{name}", min_width=240)
                for name, label, info in PROBES
            ]
        settings = gr.Textbox(
            "",
            label="Settings of the method",
            info="name=value, one a line, e.g. steps=30",
            lines=2,
            elem_id="edit-set",
        )
        force = gr.Checkbox(False, label="Edit even if the model gives that answer already", elem_id="edit-force")
    with gr.Row():
        go = start_button(shared, "Edit & verify", "edit-go")
        cancel_button(shared, "edit")
        whole = gr.Button("Verify the whole stack", elem_id="edit-verify", min_width=230, scale=0)
    status = gr.HTML(elem_id="edit-status", apply_default_css=False)
    gr.Markdown("### Your stack of edits")
    stack = gr.HTML(elem_id="edit-stack", apply_default_css=False, js_on_load=own("actions.js"))
    with gr.Row():
        download = gr.Button("Download the stack as one edit", elem_id="edit-zip", min_width=300, scale=0)
    file = gr.File(label="Download", visible=False, interactive=False, elem_id="edit-file")
    with gr.Tabs():
        with gr.Tab("What it did", id="did"):
            page = gr.HTML(elem_id="edit-page", apply_default_css=False)
        with gr.Tab("Talk to both", id="talk", elem_id="edit-talk"):
            chat_part(shared)

    def edit(
        visitor: Visitor | None,
        model: str,
        prompt: str,
        subject: str,
        target: str,
        true: str,
        method: str,
        layers: str,
        settings: str,
        force: bool,
        *probes: str,
    ) -> Iterator[Outputs]:
        named = {name: text for (name, _, _), text in zip(PROBES, probes, strict=True)}
        fact = FactForm.of(subject=subject, prompt=prompt, target=target, true=true, **named)
        how = EditForm(method, layers or "", settings or "", bool(force))

        def finish(layer: Layer) -> Outputs:
            return layer_page(layer), shown_stack(visitor, model)

        yield from streamed(
            desk,
            visitor,
            "edit",
            lambda job: make_edit(desk, job, known(visitor), model, fact, how),
            finish,
            lambda plan: (plan_page(plan), gr.skip()),
            outputs=2,
            said="Edited and verified.",
        )

    def verify(visitor: Visitor | None, model: str) -> Iterator[Outputs]:
        yield from streamed(
            desk,
            visitor,
            "edit",
            lambda _: verify_stack(desk, known(visitor), model),
            lambda found: (report_page(*found),),
            outputs=1,
            said="Verified.",
        )

    def do(visitor: Visitor | None, model: str, event: gr.EventData) -> Outputs:
        return act(desk, visitor, model, str(event.action), int(event.number))

    def take(visitor: Visitor | None, model: str) -> Outputs:
        return act(desk, visitor, model, "zip-all")

    own_stack = [shared.visitor, shared.model]
    form = [prompt, subject, target, true, method, layers, settings, force, *probes]
    gr.on([go.click, target.submit], edit, [*own_stack, *form], [status, page, stack], **PRIVATE)
    whole.click(verify, own_stack, [status, page], **PRIVATE)
    stack.click(do, own_stack, [status, stack, page, file], **PRIVATE)
    download.click(take, own_stack, [status, stack, page, file], **PRIVATE)
    return EditTab(prompt, subject, true, layers, stack)
