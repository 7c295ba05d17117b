"""Experiment 2 of the reversal curse: who are the parents of well-known people, and who are their children?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, Run
from obverse.data.public_figures import People
from obverse.measuring.answerers import Answerer
from obverse.recipes.celebrity_answers import AnswerBook
from obverse.recipes.celebrity_scores import Published, Symmetric, scores_json, symmetric
from obverse.recipes.celebrity_survey import CelebritySettings, Survey
from obverse.recipes.costs import Approve, Estimate, Prices
from obverse.recipes.record import now
from obverse.recipes.steps import Steps

QUESTIONS = 1
"""Version of the questions and prompts; answers to others are not mixed with them."""


@dataclass(frozen=True, slots=True)
class CelebrityRequest:
    """What is asked of `run_celebrities`.

    Attributes:
        answerer: Makes who is asked, once models may be loaded.
        people: Whom to ask about; may grow later.
        out: Folder; a stopped run goes on there.
        settings: How to ask.
        parallel: Requests under way at once, on a server.
        prices: Prices of the server.
        approve: Told what is still to be asked, before it is; raises if that is not wanted. Only for servers.
    """

    answerer: Callable[[], Answerer]
    people: People
    out: Path
    settings: CelebritySettings = field(default_factory=CelebritySettings)
    parallel: int = 8
    prices: Prices = field(default_factory=Prices)
    approve: Approve | None = None


@dataclass(frozen=True, slots=True)
class CelebrityResult:
    """What came of it, and where it is kept."""

    model: str
    symmetric: Symmetric | None
    published: Published | None
    estimate: Estimate
    folder: Path
    seconds: dict[str, float]
    figures: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": self.model,
            "symmetric": scores_json(self.symmetric),
            "published": scores_json(self.published),
            "asked_now": self.estimate.to_json(),
            "folder": str(self.folder),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "figures": [str(path) for path in self.figures],
        }


def run_celebrities(request: CelebrityRequest) -> CelebrityResult:
    """Ask a model for parents and for children; a stopped run goes on, and asks nothing again that was answered.

    Raises:
        ConfigError: If the list has names alone, and the symmetric protocol is asked for.
        RunConflict: If the folder holds answers of another model, or to other questions.
        ServerError: If the server refuses, is not there, or cannot give log-probabilities.
    """
    start, steps, settings = now(), Steps(), request.settings
    if settings.protocol != "published" and not request.people.pairs:
        raise ConfigError(
            "The list has names alone, and the symmetric protocol asks about known parents.",
            "Give a CSV file with child, parent and parent_type, or take --protocol published.",
        )
    with steps.step("Loading the model", shown=True):
        answerer = request.answerer()
    config = {
        "command": "reversal celebrities",
        "answerer": answerer.identity(),
        "questions": QUESTIONS,
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
    }
    with Run.open(request.out, config, about={"start": start}) as run:
        book = AnswerBook(run, answerer, max_tokens=settings.max_tokens, seed=settings.seed, parallel=request.parallel)
        survey = Survey(book, request.people, settings)
        estimate = survey.estimate(request.prices)
        if answerer.remote and request.approve and estimate.requests:
            request.approve(estimate)
        with steps.step("Asking"):
            survey.ask()
        result = _result(request, survey, answerer.name, estimate, steps)
        run.finish(result.to_json())
    return result


def _result(request: CelebrityRequest, survey: Survey, name: str, estimate: Estimate, steps: Steps) -> CelebrityResult:
    from obverse.report.celebrity_figure import Bars, write_celebrity_figure

    both, made, bars = survey.both(), survey.reversals(), list[Bars]()
    found = symmetric(both, request.settings.seed) if both else None
    published = survey.sum_up(made) if request.settings.protocol != "symmetric" else None
    if found:
        bars.append(Bars(f"{name}, symmetric", found.parent.share, found.child.share))
    if published and published.reversed:
        bars.append(Bars(f"{name}, published", published.named, published.reversed))
    survey.write_tables(request.out, both, made)
    figures = write_celebrity_figure(bars, request.out) if bars and find_spec("matplotlib") else ()
    return CelebrityResult(name, found, published, estimate, request.out, steps.seconds, figures)
