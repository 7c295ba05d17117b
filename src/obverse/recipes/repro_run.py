"""The course of every reproduction: what is asked, what will be done, how it is done, and what came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from obverse.core import ConfigError, Run, write_text
from obverse.recipes.record import now
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_sheet import Sheet, markdown
from obverse.recipes.steps import Steps

Settings = TypeVar("Settings")


class Plan(Protocol):
    """What will be done."""

    def to_json(self) -> dict[str, Any]:
        """Return what a result tells of it."""
        ...


AnyPlan = TypeVar("AnyPlan", bound=Plan)


@dataclass(frozen=True, slots=True)
class ReproRequest:
    """What is asked of a reproduction.

    Attributes:
        preset: The scale, e.g. ``smoke`` or ``demo``.
        out: The folder; by default ``runs/repro-PAPER-PRESET``. A stopped run goes on there, more seeds may join.
        seeds: How often each model is trained; None for the preset's numbers.
        only: Claims to try; none for all.
        workers: Processes that train, one thread each; with Ray, workers.
        overrides: Settings of the preset as ``a.b=value``.
        ray: Spread over Ray workers: ``local``, or the address of a cluster whose machines share the folder.

    Raises:
        ConfigError: If there are no workers.
    """

    preset: str = "demo"
    out: Path | None = None
    seeds: int | None = None
    only: Sequence[str] = ()
    workers: int = 2
    overrides: Sequence[str] = ()
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers} does nothing.", "Give at least 1.")


@dataclass(frozen=True, slots=True)
class ReproPlan(Generic[Settings]):
    """What will be done.

    Attributes:
        claims: Claims that are tried.
        settings: The preset.
        trials: Models in all.
        done: Those that are measured already.
        folder: Where everything is.
    """

    claims: tuple[str, ...]
    settings: Settings
    trials: int
    done: int
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return what a result tells of it."""
        return {"claims": list(self.claims), "models": self.trials}


@dataclass(frozen=True, slots=True)
class ReproResult(Generic[AnyPlan]):
    """What came of it.

    Attributes:
        plan: What was done.
        verdicts: A verdict a statement.
        sheets: The tables.
        seconds: Time by step.
        report: The tables and verdicts as Markdown.
        figures: The figures; none without matplotlib.
    """

    plan: AnyPlan
    verdicts: tuple[Verdict, ...]
    sheets: tuple[Sheet, ...]
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    report: Path | None = None
    figures: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            **self.plan.to_json(),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "tables": [sheet.to_json() for sheet in self.sheets],
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "report": str(self.report),
            "figures": [str(path) for path in self.figures],
        }


class Reproduction(ABC, Generic[Settings]):
    """The claims of a paper at a scale.

    Args:
        settings: The preset.
        claims: Claims that are tried.

    Attributes:
        paper: Name of the command and of the folder.
        title: Of the report.
    """

    paper: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, settings: Settings, claims: tuple[str, ...]) -> None:
        self.settings, self.claims = settings, claims

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Return what every model depends on; what may join later is left out."""

    @abstractmethod
    def trials(self) -> Sequence[str]:
        """Return the id of every model to be measured."""

    @abstractmethod
    def measure(self, missing: Sequence[str], folder: Path, request: ReproRequest, steps: Steps) -> Iterator[Any]:
        """Train and measure models, and yield a record of each, with its ``id``, as it is done."""

    @abstractmethod
    def judge(self, records: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Verdict], Sequence[Sheet]]:
        """Return verdicts and tables."""

    @abstractmethod
    def figures(self, records: Sequence[Mapping[str, Any]], folder: Path) -> Sequence[Path]:
        """Draw into a folder; asked only where matplotlib is installed."""


def reproduce(
    paper: Reproduction[Settings], request: ReproRequest, announce: Callable[[ReproPlan[Settings]], None]
) -> ReproResult[ReproPlan[Settings]]:
    """Train every model that the claims need, measure each, judge, and write the report.

    Args:
        paper: What is tried.
        request: What is asked.
        announce: Called with the plan before the long work starts.

    Raises:
        RunConflict: If the folder holds a run of other settings.
    """
    command, trials, steps = f"repro {paper.paper}", paper.trials(), Steps()
    folder = (request.out or Path("runs") / f"repro-{paper.paper}-{request.preset}").absolute()
    with Run.open(folder, {"command": command, **paper.identity()}, about={"command": command, "start": now()}) as run:
        missing = run.todo(trials)
        plan = ReproPlan(paper.claims, paper.settings, len(trials), len(trials) - len(missing), folder)
        announce(plan)
        for record in paper.measure(missing, folder, request, steps):
            run.append(record)
        records = [record for record in run.records() if record["id"] in set(trials)]
        verdicts, sheets = paper.judge(records)
        report = write_text(folder / "report.md", markdown(verdicts, sheets, paper.title))
        figures = paper.figures(records, folder) if find_spec("matplotlib") else ()
        result = ReproResult(plan, tuple(verdicts), tuple(sheets), dict(steps.seconds), report, tuple(figures))
        run.finish({**result.to_json(), "end": now()})
    return result
