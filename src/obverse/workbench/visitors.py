"""Who uses the workbench: each visitor has edits, a trace and jobs of their own, which nobody else can see."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from obverse.workbench.jobs import Job
from obverse.workbench.stack import Stack

if TYPE_CHECKING:
    from obverse.workbench.tracing import Located

MOST = 64
"""Visitors remembered at once; of more, the ones that were away longest are forgotten, with their edits."""


class Visitor:
    """One user of the page, from visit to visit of the same browser.

    Attributes:
        token: What the browser is known by: a secret, kept in the browser.
        folder: Where the visitor's edits are saved until they are forgotten.
        stacks: Their edits, by the name of the model.
        located: Their last causal trace.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.folder = Path(mkdtemp(prefix="obverse-visitor-"))
        self.stacks: dict[str, Stack] = {}
        self.located: Located | None = None
        self.seen = time.monotonic()
        self._jobs: dict[str, Job] = {}

    def __deepcopy__(self, _: object) -> Visitor:
        """Return itself: a visitor is who they are, wherever they are kept."""
        return self

    def stack(self, model: str) -> Stack:
        """Return the edits of a model."""
        return self.stacks.setdefault(model, Stack())

    def began(self, tab: str, job: Job) -> None:
        """Note what is under way in a tab."""
        self._jobs[tab] = job

    def cancel(self, tab: str | None = None) -> bool:
        """Cancel what is under way, in a tab or in all of them; say whether there was anything."""
        wanted = [job for name, job in self._jobs.items() if tab in (None, name) and not job.done]
        for job in wanted:
            job.cancel()
        return bool(wanted)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return any(not job.done for job in self._jobs.values())

    def forget(self) -> None:
        """Cancel what is under way and remove the visitor's files."""
        self.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)


class Visitors:
    """All visitors, by their tokens."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def visit(self, token: object = None) -> Visitor:
        """Return the visitor of a token, or a new one with a token of their own where it is not known."""
        with self._lock:
            known = self._known.get(token) if isinstance(token, str) else None
            visitor = known or Visitor(secrets.token_urlsafe(24))
            visitor.seen = time.monotonic()
            self._known[visitor.token] = visitor
            idle = sorted((one for one in self._known.values() if not one.busy), key=lambda one: one.seen)
            for old in idle[: max(0, len(self._known) - self._most)]:
                del self._known[old.token]
                old.forget()
        return visitor

    def close(self) -> None:
        """Forget everybody."""
        with self._lock:
            for visitor in self._known.values():
                visitor.forget()
            self._known.clear()
