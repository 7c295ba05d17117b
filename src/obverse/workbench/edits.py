"""The tab Edit & verify: make an edit upon those of one's own stack, verify it, talk to it, take it home."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from obverse.core import ConfigError, ObverseError, UnknownName
from obverse.data.chat_templates import CHAT_TEMPLATES
from obverse.data.relations import case_for
from obverse.editing import stack as summed
from obverse.recipes.answers import OWN, TOKENS, Answerer, template_for
from obverse.recipes.edit import EditRequest, run_edit
from obverse.recipes.plan import Plan
from obverse.recipes.record import slug
from obverse.recipes.stack import CrossTalk, predicted, stacked
from obverse.verifying import Report, verify
from obverse.workbench.desk import Desk
from obverse.workbench.form import FactForm, check_length, layers_of, overrides_of
from obverse.workbench.jobs import Job
from obverse.workbench.stack import Layer, Stack
from obverse.workbench.visitors import Visitor


@dataclass(frozen=True, slots=True)
class EditForm:
    """How to edit.

    Attributes:
        method: Name of the editor.
        layers: Layers as typed; empty for the method's own.
        settings: Other settings, ``key=value`` a line.
        force: Whether to write an answer that the model gives already.
    """

    method: str = "rome"
    layers: str = ""
    settings: str = ""
    force: bool = False


def make_edit(desk: Desk, job: Job[Layer], visitor: Visitor, model: str, fact: FactForm, how: EditForm) -> Layer:
    """Make an edit upon those that are switched on, verify it, and put it on the stack. The plan is shown meanwhile.

    Raises:
        ObverseError: If what is asked cannot be done; the stack stays as it was.
    """
    case, layers, overrides = fact.case(), layers_of(how.layers), overrides_of(how.settings)
    if layers is not None and any(text.partition("=")[0].strip() == "layers" for text in overrides):
        raise ConfigError("Layers are given twice: in their field and among the settings.", "Leave one of them out.")
    lm, stack = desk.model(model), visitor.stack(model)
    number = stack.next_number()
    request = EditRequest(
        [case],
        method=how.method,
        settings={"layers": layers} if layers is not None else {},
        overrides=overrides,
        out=visitor.folder / f"{number}-{slug(f'{case.fact.subject} {case.fact.target}')}",
        force=how.force,
        upon=[layer.folder for layer in stack.on],
        command="obverse serve",
    )

    def announce(plan: Plan) -> None:
        job.show(plan)

    result = run_edit(request, announce, lm=lm)
    assert result.edit is not None
    assert request.out is not None
    layer = Layer(number, result.edit, result, request.out)
    stack.push(layer)
    return layer


def verify_stack(desk: Desk, visitor: Visitor, model: str) -> tuple[Report, tuple[CrossTalk, ...]]:
    """Verify all edits that are switched on, together, and predict what they do to each other.

    Raises:
        ObverseError: If none is switched on.
    """
    layers = _on(visitor.stack(model))
    lm, edits = desk.model(model), [layer.edit for layer in layers]
    cases = [case for layer in layers for case in _cases(layer)]
    return verify(lm, summed(edits), cases), predicted(edits)


def _cases(layer: Layer) -> list:
    report = layer.result.report
    return [one.case for one in report.cases] if report else [case_for(fact) for fact in layer.edit.facts]


def _on(stack: Stack) -> list[Layer]:
    if not stack.on:
        raise ObverseError("No edit of your stack is switched on.", "Make one, or switch one on.")
    return stack.on


@dataclass(frozen=True, slots=True)
class Said:
    """An answer without and with the edits.

    Attributes:
        unedited: Of the model as it was loaded.
        edited: With the edits that are switched on.
        edits: How many those are.
    """

    unedited: str
    edited: str
    edits: int


def chat(desk: Desk, visitor: Visitor, model: str, query: str, template: str = "default", tokens: int = TOKENS) -> Said:
    """Answer a query by the model with and without the visitor's edits.

    Raises:
        ObverseError: If there is nothing to answer, far too much, no room for an answer, or an unknown template.
    """
    check_length(query)
    if not query.strip():
        raise ObverseError("There is no question.", "Type one.")
    if template not in (*CHAT_TEMPLATES, OWN):  # by name alone: elsewhere a template may be a file
        raise UnknownName.among("template", template, (*CHAT_TEMPLATES, OWN))
    lm, edits = desk.model(model), visitor.stack(model).edits
    answerer = Answerer(template_for(lm, template), tokens)
    unedited = answerer(lm, [query], label="Answering, unedited")[0]
    with stacked(edits, lm):
        edited = answerer(lm, [query], label="Answering, edited")[0]
    return Said(unedited, edited, len(edits))


def zip_layer(visitor: Visitor, model: str, number: int) -> Path:
    """Return an edit's folder (a PEFT adapter with edit.json and report) as a zip; raises as `Stack.get` does."""
    return zipped(visitor.stack(model).get(number).folder, visitor.folder)


def zip_stack(visitor: Visitor, model: str) -> Path:
    """Return all edits that are switched on as one edit's folder, zipped.

    Raises:
        ObverseError: If none is switched on, or they cannot be one.
    """
    edits = [layer.edit for layer in _on(visitor.stack(model))]
    folder = Path(mkdtemp(dir=visitor.folder)) / f"stack-{len(edits)}"
    summed(edits).save(folder)
    return zipped(folder, visitor.folder)


def zipped(folder: Path, into: Path) -> Path:
    """Return a zip of a folder, in a new folder within ``into``; the files lie in a folder of the same name."""
    out = Path(mkdtemp(dir=into)) / folder.name
    return Path(shutil.make_archive(str(out), "zip", folder.parent, folder.name))


def keep(desk: Desk, visitor: Visitor, model: str, number: int) -> Path:
    """Copy an edit's folder to the runs, under a name that is free; raises as `Stack.get` does."""
    layer = visitor.stack(model).get(number)
    name = f"edit-{layer.folder.name.partition('-')[2]}"
    return desk.runs.add(layer.folder, name)
