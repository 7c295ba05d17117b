"""What all visitors share: the models, the thread that works on them, and the folder of runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, TypeVar

from obverse.core import ObverseError, UnknownName
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.steps import Steps
from obverse.workbench.jobs import Job, Worker
from obverse.workbench.run_folders import RunFolders
from obverse.workbench.visitors import Visitor, Visitors

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Result = TypeVar("Result")


class Desk:
    """The workbench without its page.

    Args:
        choices: The models to work with; at least one, the first is the one shown.
        runs: The folder whose runs can be looked at.

    Attributes:
        names: Names of the models.
        runs: The runs.
        visitors: Who is there.
        scratch: A folder for files to be downloaded, removed in the end.
    """

    def __init__(self, choices: Sequence[ModelChoice], runs: Path) -> None:
        from obverse.model.language_model import DEFAULT_MODEL

        named = {choice.name or DEFAULT_MODEL: choice for choice in choices}
        self.names = tuple(named)
        self.runs = RunFolders(runs)
        self.visitors = Visitors()
        self.scratch = Path(mkdtemp(prefix="obverse-downloads-"))
        self._choices = {name: replace(choice, name=name) for name, choice in named.items()}
        self._loaded: dict[str, LanguageModel] = {}
        self._worker = Worker()

    def model(self, name: str) -> LanguageModel:
        """Return a model, loaded when it is first asked for; only to be called in a job.

        Raises:
            UnknownName: If it is none of those that are served.
        """
        if name not in self._choices:
            raise UnknownName.among("model", name, self.names)
        if name not in self._loaded:
            with Steps().step(f"Loading {name}", shown=True):
                self._loaded[name] = load_model(self._choices[name])
        return self._loaded[name]

    def load(self) -> None:
        """Load the first model, and learn what it is, before anybody visits."""
        lm = self.model(self.names[0])
        assert lm.fingerprint

    def submit(self, visitor: Visitor | None, tab: str, work: Callable[[Job[Result]], Result]) -> Job[Result]:
        """Ask for work for a visitor; what was under way in that tab is cancelled.

        Raises:
            ObverseError: If the page has not said yet who the visitor is.
        """
        visitor = known(visitor)
        visitor.cancel(tab)
        job = self._worker.submit(tab, work)
        visitor.began(tab, job)
        return job

    def close(self) -> None:
        """Cancel everything, and forget everybody."""
        self._worker.close()
        self.visitors.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def known(visitor: Visitor | None) -> Visitor:
    """Return the visitor.

    Raises:
        ObverseError: If the page has not said yet who that is.
    """
    if visitor is None:
        raise ObverseError("The page is not ready yet.", "Wait a moment and try again, or reload it.")
    return visitor
