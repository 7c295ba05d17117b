"""The page: five tabs over the models of a desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.themes import Default

from obverse.workbench.desk import Desk
from obverse.workbench.fragments import framed
from obverse.workbench.style import page_head
from obverse.workbench.tab_ask import ask_tab
from obverse.workbench.tab_edit import edit_tab, shown_stack
from obverse.workbench.tab_locate import locate_tab, shown_trace
from obverse.workbench.tab_runs import runs_tab
from obverse.workbench.tab_train import train_tab
from obverse.workbench.wiring import AT_ONCE, PRIVATE, Shared

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
"""Fonts of the visitor's own machine: none is fetched."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, ready to be served.

    Attributes:
        blocks: The page.
        look: How it looks, as arguments for ``launch``.
    """

    blocks: gr.Blocks
    look: Mapping[str, Any]


def build_page(desk: Desk) -> Page:
    """Build the page of a desk."""
    names = list(desk.names)
    with gr.Blocks(
        analytics_enabled=False, delete_cache=(3600, 86400), title=f"obverse · {names[0]}", fill_width=True
    ) as blocks:
        gr.HTML(framed(f"<p class=kicker>obverse workbench · {escape(', '.join(names))}</p>"), apply_default_css=False)
        visitor, token = gr.State(None), gr.BrowserState("", storage_key="obverse-visitor")
        model = gr.Dropdown(
            names, value=names[0], label="Model of Locate and Edit", visible=len(names) > 1, elem_id="model"
        )
        with gr.Tabs(elem_id="tabs") as tabs:
            shared = Shared(desk, visitor, model, tabs)
            with gr.Tab("Ask", id="ask"):
                ask = ask_tab(shared)
            with gr.Tab("Locate", id="locate"):
                locate = locate_tab(shared)
            with gr.Tab("Edit & verify", id="edit"):
                edit = edit_tab(shared)
            with gr.Tab("Train & prefer", id="train") as train:
                train_tab(shared, train)
            with gr.Tab("Runs", id="runs") as runs:
                runs_tab(shared, runs)
        ask.hand_on(shared, locate, edit)
        locate.hand_on(shared, edit)

        def arrive(known: str, chosen: str) -> tuple[Any, ...]:
            who = desk.visitors.visit(known)
            ready = [gr.Button(interactive=True) for _ in shared.starters]
            return who, who.token, shown_trace(who), shown_stack(who, chosen), *ready

        own = [locate.page, edit.stack]
        blocks.load(arrive, [token, model], [visitor, token, *own, *shared.starters], **AT_ONCE)
        model.change(shown_stack, [visitor, model], [edit.stack], **PRIVATE)
    theme = Default(primary_hue="blue", font=FONTS, font_mono=("ui-monospace", "Consolas", "monospace"))
    theme = theme.set(block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300")
    return Page(blocks, {"theme": theme, "head": page_head()})
