"""The page of ``obverse reversal run``: right answers by direction, how likely they are, and what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from obverse.measuring.reversal import Answer
from obverse.report._format import data, line, plain, table
from obverse.report._inline_svg import inline_svg
from obverse.report._page import Origin, embed, origin, page, section, write_page
from obverse.report.bench_sheets import Sheet, html_cell
from obverse.report.reversal_drawn import Figure


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
    drawn = (
        one.drawn
        if isinstance(one.drawn, str)
        else f"<div class=scroll>{inline_svg(one.drawn, one.title, place)}</div>"
    )
    return f"<h3 class=above>{escape(one.title)}</h3><p class=note>{escape(one.note)}</p>{drawn}{one.numbers}"


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
