"""Talk to the model with and without one's edits, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from obverse.data.chat_templates import CHAT_TEMPLATES
from obverse.recipes.answers import OWN
from obverse.workbench.desk import known
from obverse.workbench.edits import Said, chat
from obverse.workbench.visitors import Visitor
from obverse.workbench.wiring import PRIVATE, Outputs, Shared, cancel_button, start_button, streamed

History = list[dict[str, Any]]


def chat_part(shared: Shared) -> None:
    """Add the chat. Each question stands alone: the model does not see the ones before."""
    desk = shared.desk
    gr.Markdown("Each question stands alone; answers are the likeliest words.")
    with gr.Row():
        sides = [
            gr.Chatbot(
                label=label, height=260, elem_id=f"chat-{name}", buttons=[], render_markdown=False, min_width=260
            )
            for name, label in (("unedited", "Unedited"), ("edited", "With your edits"))
        ]
    with gr.Row():
        query = gr.Textbox("", label="Question or beginning", elem_id="chat-query", scale=4)
        template = gr.Dropdown(
            [*CHAT_TEMPLATES, OWN], value="default", label="Template", info="default: none", elem_id="chat-template"
        )
        tokens = gr.Slider(1, 200, 32, step=1, label="Tokens")
    with gr.Row():
        send = start_button(shared, "Send", "chat-go")
        cancel_button(shared, "chat")
    status = gr.HTML(elem_id="chat-status", apply_default_css=False)

    def say(
        visitor: Visitor | None,
        model: str,
        query: str,
        template: str,
        tokens: int,
        unedited: History | None,
        edited: History | None,
    ) -> Iterator[Outputs]:
        def finish(said: Said) -> Outputs:
            sides = ((unedited, said.unedited), (edited, said.edited))
            return (*(_longer(history, query, answer) for history, answer in sides), "")

        yield from streamed(
            desk,
            visitor,
            "chat",
            lambda _: chat(desk, known(visitor), model, query, template, int(tokens)),
            finish,
            outputs=3,
            said="Answered.",
        )

    asked = [shared.visitor, shared.model, query, template, tokens, *sides]
    gr.on([send.click, query.submit], say, asked, [status, *sides, query], **PRIVATE)


def _longer(history: History | None, query: str, answer: str) -> History:
    """Return a conversation with a question and its answer at the end."""
    return [*(history or []), {"role": "user", "content": query}, {"role": "assistant", "content": answer or "…"}]
