"""From a visitor's click to a job and back: what every tab does the same way."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

import gradio as gr

from obverse.core import ObverseError
from obverse.workbench import fragments
from obverse.workbench.desk import Desk
from obverse.workbench.jobs import Cancelled, Job
from obverse.workbench.visitors import Visitor

Result = TypeVar("Result")
Outputs = tuple[Any, ...]
Variant = Literal["primary", "secondary"]

_log = logging.getLogger(__name__)

PRIVATE: Mapping[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""How events are listened to: jobs wait in the desk's queue, not in gradio's, and no other program may call them."""
AT_ONCE: Mapping[str, Any] = {**PRIVATE, "queue": False}
"""The same for what must not wait, as cancelling."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tabs have in common.

    Attributes:
        desk: The desk.
        visitor: Holds who visits; None until the page has said so.
        model: Name of the model that Locate and Edit work on.
        tabs: The tabs.
        starters: Buttons that start jobs; they wait until the page knows who visits.
    """

    desk: Desk
    visitor: gr.State
    model: gr.Dropdown
    tabs: gr.Tabs
    starters: list[gr.Button] = field(default_factory=list[gr.Button])


def streamed(
    desk: Desk,
    visitor: Visitor | None,
    tab: str,
    work: Callable[[Job[Result]], Result],
    finish: Callable[[Result], Outputs],
    meanwhile: Callable[[Any], Outputs] | None = None,
    *,
    outputs: int,
    said: str | Callable[[Result], str] = "Done.",
) -> Iterator[Outputs]:
    """Do a job and yield what the page shows: the state of things first, then the tab's own outputs.

    An error that the visitor can mend is shown; any other is logged, and the page goes on. When nobody listens any
    more, the job is cancelled.

    Args:
        desk: The desk.
        visitor: Who asks.
        tab: The tab; what was under way there is cancelled.
        work: The job.
        finish: Makes the outputs of its result.
        meanwhile: Makes them of what the job shows before it is done.
        outputs: How many outputs the tab has.
        said: What is said in the end, or makes it of the result.
    """
    nothing = tuple(gr.skip() for _ in range(outputs))
    job: Job[Result] | None = None
    try:
        job = desk.submit(visitor, tab, work)
        seen: object = None
        for beat in job.beats():
            new = meanwhile is not None and beat.shown is not None and beat.shown is not seen
            seen = beat.shown
            yield (fragments.running(beat), *(meanwhile(seen) if new and meanwhile else nothing))
        result = job.result()
        yield (fragments.done(said if isinstance(said, str) else said(result)), *finish(result))
    except Cancelled:
        yield (fragments.cancelled(), *nothing)
    except ObverseError as error:
        yield (fragments.failed(error), *nothing)
    except Exception:  # a server goes on: what went wrong here must not take the other visitors' page away
        _log.error("A job of the tab %s failed:\n%s", tab, traceback.format_exc())
        yield (fragments.broken(), *nothing)
    finally:
        if job is not None:
            job.cancel()


def answered(work: Callable[[], Outputs], *, outputs: int) -> Outputs:
    """Do something that takes no model and no time; return what is to be said, then the tab's own outputs."""
    try:
        return "", *work()
    except ObverseError as error:
        return fragments.failed(error), *(gr.skip() for _ in range(outputs))
    except Exception:  # as in `streamed`
        _log.error("The page could not show something:\n%s", traceback.format_exc())
        return fragments.broken(), *(gr.skip() for _ in range(outputs))


def start_button(shared: Shared, label: str, elem_id: str, variant: Variant = "primary") -> gr.Button:
    """Add a button that starts a job of a tab."""
    button = gr.Button(label, variant=variant, elem_id=elem_id, min_width=150, scale=0, interactive=False)
    shared.starters.append(button)
    return button


def cancel_button(shared: Shared, tab: str) -> gr.Button:
    """Add a button that cancels what is under way in a tab."""
    button = gr.Button("Cancel", min_width=100, scale=0, elem_id=f"{tab}-cancel")
    button.click(partial(_cancel, tab), [shared.visitor], None, **AT_ONCE)
    return button


def _cancel(tab: str, visitor: Visitor | None) -> None:
    if visitor is not None:
        visitor.cancel(tab)
