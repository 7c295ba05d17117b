"""The tab Ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from obverse.workbench.asking import ask_models
from obverse.workbench.form import FactForm
from obverse.workbench.view_ask import asked_page
from obverse.workbench.visitors import Visitor
from obverse.workbench.wiring import AT_ONCE, PRIVATE, Outputs, Shared, cancel_button, start_button, streamed

if TYPE_CHECKING:
    from obverse.workbench.tab_edit import EditTab
    from obverse.workbench.tab_locate import LocateTab


@dataclass(frozen=True, slots=True)
class AskTab:
    """What other tabs are given of this one: the fact that is asked about, and buttons that hand it on."""

    prompt: gr.Textbox
    subject: gr.Textbox
    target: gr.Textbox
    to_locate: gr.Button
    to_edit: gr.Button

    def hand_on(self, shared: Shared, locate: LocateTab, edit: EditTab) -> None:
        """Let the fact be traced, or edited: its answer is then the present one."""
        fact = [self.prompt, self.subject]
        self.to_locate.click(
            lambda prompt, subject: (prompt, subject, gr.Tabs(selected="locate")),
            fact,
            [locate.prompt, locate.subject, shared.tabs],
            **AT_ONCE,
        )
        self.to_edit.click(
            lambda prompt, subject, target: (prompt, subject, target, gr.Tabs(selected="edit")),
            [*fact, self.target],
            [edit.prompt, edit.subject, edit.true, shared.tabs],
            **AT_ONCE,
        )


def ask_tab(shared: Shared) -> AskTab:
    """Add the tab's content."""
    desk = shared.desk
    with gr.Row():
        prompt = gr.Textbox(
            "The Space Needle is in the city of",
            label="Prompt",
            info="Ends where the answer starts; may have {} for the subject",
            elem_id="ask-prompt",
            scale=3,
        )
        subject = gr.Textbox("Space Needle", label="Subject", info="Whom it is about", elem_id="ask-subject")
        target = gr.Textbox("Seattle", label="Answer", info="Empty: only what comes next", elem_id="ask-target")
    models = gr.CheckboxGroup(
        list(desk.names),
        value=[desk.names[0]],
        label="Models to ask",
        elem_id="ask-models",
        visible=len(desk.names) > 1,
    )
    with gr.Accordion("More: a wrong answer, other wordings, reverse questions", open=False):
        with gr.Row():
            wrong = gr.Textbox("", label="Compared with", info="Another answer", elem_id="ask-wrong")
            top = gr.Slider(1, 20, 5, step=1, label="Likeliest answers shown", elem_id="ask-top")
        with gr.Row():
            paraphrases = gr.Textbox("", label="Other wordings", info="One a line; {} is the subject", lines=2)
            reverse = gr.Textbox(
                "", label="Reverse questions", info="One a line; {} is the answer", lines=2, elem_id="ask-reverse"
            )
    with gr.Row():
        go = start_button(shared, "Ask", "ask-go")
        cancel_button(shared, "ask")
        to_locate = gr.Button("Locate it →", elem_id="ask-to-locate", min_width=140, scale=0)
        to_edit = gr.Button("Edit it →", elem_id="ask-to-edit", min_width=140, scale=0)
    status = gr.HTML(elem_id="ask-status", apply_default_css=False)
    page = gr.HTML(elem_id="ask-page", apply_default_css=False)

    def ask(
        visitor: Visitor | None,
        prompt: str,
        subject: str,
        target: str,
        wrong: str,
        paraphrases: str,
        reverse: str,
        top: int,
        models: list[str],
    ) -> Iterator[Outputs]:
        form = FactForm.of(
            subject=subject, prompt=prompt, target=target, true=wrong, paraphrases=paraphrases, reverse=reverse
        )
        yield from streamed(
            desk,
            visitor,
            "ask",
            lambda job: ask_models(desk, job, models, form, int(top)),
            lambda found: (asked_page(found),),
            lambda found: (asked_page(found),),
            outputs=1,
        )

    asked = [shared.visitor, prompt, subject, target, wrong, paraphrases, reverse, top, models]
    gr.on([go.click, prompt.submit, subject.submit, target.submit], ask, asked, [status, page], **PRIVATE)
    return AskTab(prompt, subject, target, to_locate, to_edit)
