"""Pieces of the page: how far a job is, what went wrong, tables and texts, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from obverse.core import ObverseError
from obverse.report._format import table
from obverse.workbench.jobs import Beat
from obverse.workbench.wording import page_words


def framed(*parts: str) -> str:
    """Return HTML in the frame that its style sheet speaks of."""
    return f'<div class="obverse">{"".join(parts)}</div>'


def note(text: str) -> str:
    """Return a remark, plain text, framed."""
    return framed(f"<p class=note>{escape(text)}</p>")


def running(beat: Beat) -> str:
    """Return how far a job is. What is read aloud changes only with the step."""
    if beat.ahead:
        jobs = "1 job comes" if beat.ahead == 1 else f"{beat.ahead} jobs come"
        label = f"Waiting: {jobs} first"
    else:
        label = beat.label or "Working"
    value = f" value={beat.share:.3f}" if beat.share is not None and not beat.ahead else ""
    aside = " · ".join(filter(None, [beat.note, f"{beat.seconds:.0f} s"]))
    return framed(
        f"<div class=status><span role=status>{escape(label)} …</span> <small aria-hidden=true>{escape(aside)}</small>"
        f'<progress max=1{value} aria-label="{escape(label)}"></progress></div>'
    )


def done(text: str) -> str:
    """Return that a job is done, and what there is to say, plain text."""
    return framed(f'<div class="status done"><span role=status>{escape(text)}</span></div>')


def cancelled() -> str:
    """Return that a job was cancelled."""
    return framed('<div class="status"><span role=status>Cancelled. Nothing was changed.</span></div>')


def failed(error: ObverseError) -> str:
    """Return a mistake that the visitor can mend, with what to do."""
    hint = f"<p>{escape(page_words(error.hint))}</p>" if error.hint else ""
    return framed(f'<div class="status failed" role=alert><p><b>{escape(error.message)}</b></p>{hint}</div>')


def broken() -> str:
    """Return that something went wrong that is nobody's mistake but the program's."""
    return framed(
        '<div class="status failed" role=alert><p><b>Something went wrong that should not.</b></p><p>The terminal in '
        "which obverse serve runs says what. The model and your edits are as they were.</p></div>"
    )


def sheet(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], text: str = "") -> str:
    """Return a table with a heading; title and heads are plain text, cells and text HTML. Nothing without rows."""
    body = table([escape(name) for name in head], list(rows))
    below = f"<p class=note>{text}</p>" if text else ""
    return f"<section><h3>{escape(title)}</h3><div class=wide>{body}</div>{below}</section>"


def button(action: str, label: str, meaning: str, **values: object) -> str:
    """Return a button that tells the server what was asked for, see ``actions.js``.

    Args:
        action: Name of the action.
        label: What is shown, plain text.
        meaning: What is read aloud and shown on hover, plain text.
        values: What else the server needs to know.
    """
    more = "".join(f' data-{name}="{escape(str(value))}"' for name, value in values.items())
    return (
        f'<button type=button class=action data-action="{escape(action)}"{more} title="{escape(meaning)}" '
        f'aria-label="{escape(meaning)}">{escape(label)}</button>'
    )
