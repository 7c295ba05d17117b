"""The page of ``obverse reversal run``: right answers by direction, how likely they are, and what was written."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, cast

from obverse.core.plotting import drawing
from obverse.measuring.reversal import Answer
from obverse.report._format import data, line, plain, table
from obverse.report._page import Origin, embed, origin, page, section, write_page
from obverse.report.bench_sheets import Sheet, html_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class Figure(NamedTuple):
    """A figure on the page.

    Attributes:
        title: What it shows.
        svg: The drawing.
        kind: ``bars``, ``violins`` or ``maps``, by which it is explained.
    """

    title: str
    svg: str
    kind: str


class Question(NamedTuple):
    """A question with what came of it.

    Attributes:
        label: The objective, and how its model was asked.
        subtask: What kind of question it is.
        answer: The answer.
    """

    label: str
    subtask: str
    answer: Answer


_EXPLAINED = {
    "bars": "Share of persons answered rightly, with exact 95 % intervals.",
    "violins": "Log-probability of answers by person, in nats: the right one to the left (blue), another person's to "
    "the right (grey), with their medians. Where both are alike, the model does not know.",
    "maps": "How much of a fact's probability comes back when a state is restored, by the part a token plays and by "
    "layer, mean over facts; one scale for all models. Differences: next-token prediction less the other.",
}


def svg_of(figure: Drawing) -> str:
    """Return a drawing as SVG that can stand in a page: no declaration, no date, named by its labels alone."""
    out = io.StringIO()
    save = cast("Callable[..., None]", figure.savefig)
    with drawing():
        save(out, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :]


def render_reversal(
    title: str,
    sheets: Sequence[Sheet],
    figures: Sequence[Figure],
    questions: Sequence[Question],
    numbers: Mapping[str, Any],
    **background: Unpack[Origin],
) -> str:
    """Return the page as HTML.

    Args:
        title: What was trained.
        sheets: The tables.
        figures: The figures; may be empty.
        questions: Single answers to show.
        numbers: Everything as JSON values, embedded.
        **background: How the page was made.
    """
    body = [
        f"<header><p class=kicker>The reversal curse</p><h1>{escape(title)}</h1><p>Trained that A is B, does a model "
        "know who B is? Every number is over persons, with its 95 % interval.</p></header>",
        section("Figures", "", "".join(_figure(one, place) for place, one in enumerate(figures))),
        section("Tables", "", "".join(_sheets(sheets))),
        _answers(questions),
        origin({}, background),
    ]
    return page(title, body, embed(dict(numbers)))


def write_reversal_page(
    path: Path,
    title: str,
    sheets: Sequence[Sheet],
    figures: Sequence[Figure],
    questions: Sequence[Question],
    numbers: Mapping[str, Any],
    **background: Unpack[Origin],
) -> Path:
    """Write `render_reversal` and return where; an older page is replaced as a whole."""
    return write_page(path, render_reversal(title, sheets, figures, questions, numbers, **background))


def _figure(one: Figure, place: int) -> str:
    """Return a figure on white paper; its inner names are its own, as two figures may share one."""
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>f{place}-", one.svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(one.title, quote=True)}" ', 1)
    paper = "background:#fff;display:inline-block;border-radius:6px;padding:.5rem;max-width:100%;overflow-x:auto"
    return (
        f"<h3 class=above>{escape(one.title)}</h3><p class=note>{_EXPLAINED[one.kind]}</p>"
        f"<div style='{paper}'>{svg}</div>"
    )


def _sheets(sheets: Sequence[Sheet]) -> Iterator[str]:
    """Yield the tables, each with what was not said below one before it."""
    told = set[str]()
    for sheet in sheets:
        rows = [tuple(html_cell(cell) for cell in row) for row in sheet.rows]
        legend = "".join(f"<li>{escape(text)}</li>" for text in sheet.legend if text not in told)
        told.update(sheet.legend)
        shown = table([escape(name) for name in sheet.head], rows, "numbers sheet")
        below = f"<ul class=note>{legend}</ul>" if legend else ""
        yield f"<h3 class=above>{escape(sheet.title)}</h3><div class=scroll>{shown}</div>{below}"


def _answers(questions: Sequence[Question]) -> str:
    labels = dict.fromkeys((one.label, one.subtask) for one in questions)
    parts = [
        _folded(
            f"{label}: {subtask}", [one.answer for one in questions if (one.label, one.subtask) == (label, subtask)]
        )
        for label, subtask in labels
    ]
    intro = "Person by person, in a held-out wording, first seed; all answers are in the folder answers/."
    return section("What the models answer", intro, "".join(parts))


def _folded(title: str, answers: Sequence[Answer]) -> str:
    rows = [_row(one) for one in answers]
    head = ("Question", "Right answer", "It writes", "Right", "Log-probability", "Of another's")
    return f"<details><summary>{escape(title)}</summary>{table(head, rows, 'probes')}</details>"


def _row(one: Answer) -> tuple[str, ...]:
    right = one.verdicts.get("greedy", one.verdicts.get("exact", 0.0)) == 1
    verdict = "<span class=good>✓ yes</span>" if right else "<span class=bad>✗ no</span>"
    known = [("-" if value is None else data(value, plain)) for value in (one.logprob, one.random_logprob)]
    written = "-" if one.completion is None else line(one.completion)
    return f"{line(one.prompt.prompt)} …", f"<b>{line(one.prompt.completion)}</b>", written, verdict, *known
