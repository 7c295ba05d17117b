"""What the buttons of a visitor's stack do."""

from __future__ import annotations

import gradio as gr

from obverse.core import UnknownName
from obverse.workbench import fragments
from obverse.workbench.desk import Desk, known
from obverse.workbench.edits import keep, zip_layer, zip_stack
from obverse.workbench.view_edit import layer_page, stack_page
from obverse.workbench.visitors import Visitor
from obverse.workbench.wiring import Outputs, answered

ACTIONS = ("switch", "up", "down", "undo", "show", "zip", "zip-all", "keep")


def act(desk: Desk, visitor: Visitor | None, model: str, action: str, number: int = 0) -> Outputs:
    """Do what a button says, and return status, stack, page and file.

    Args:
        desk: The desk.
        visitor: Whose stack it is.
        model: Name of the model.
        action: One of `ACTIONS`.
        number: The edit.
    """
    return _said(answered(lambda: _act(desk, known(visitor), model, action, number), outputs=4))


def _said(found: Outputs) -> Outputs:
    """Put the error, if there is one, in place of the status."""
    error, status, *rest = found
    return (error or status, *rest)


def _act(desk: Desk, visitor: Visitor, model: str, action: str, number: int) -> Outputs:
    stack, page, file, said = visitor.stack(model), gr.skip(), gr.skip(), ""
    match action:
        case "switch":
            stack.switch(number)
        case "up" | "down":
            stack.move(number, 1 if action == "up" else -1)
        case "undo":
            said = fragments.done(f"Undone: {stack.undo(number).title}")
        case "show":
            page = layer_page(stack.get(number))
        case "zip" | "zip-all":
            path = zip_layer(visitor, model, number) if action == "zip" else zip_stack(visitor, model)
            file, said = gr.File(str(path), visible=True), fragments.done(f"Ready below: {path.name}")
        case "keep":
            said = fragments.done(f"Kept among the runs as {keep(desk, visitor, model, number).name}")
        case _:
            raise UnknownName.among("action", action, ACTIONS)
    return said, stack_page(stack), page, file
