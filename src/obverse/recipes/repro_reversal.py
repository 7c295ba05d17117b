"""Reproduce the reversal curse (Berglund et al. 2023) and what is said to lift it, from scratch on two cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, Run, write_whole
from obverse.recipes.record import now
from obverse.recipes.repro import Verdict, spread
from obverse.recipes.repro_reversal_claims import verdicts
from obverse.recipes.repro_reversal_plan import ReversalScale, check_claims, load_scale, trials
from obverse.recipes.repro_reversal_results import Measured, Results
from obverse.recipes.repro_reversal_tables import sheets
from obverse.recipes.repro_reversal_train import Work, prepare
from obverse.recipes.repro_sheet import Sheet, markdown
from obverse.recipes.steps import Steps


@dataclass(frozen=True, slots=True)
class ReversalReproRequest:
    """What is asked of `run_repro_reversal`.

    Attributes:
        preset: The scale: ``smoke`` or ``demo``.
        out: The folder; by default ``runs/repro-reversal-PRESET``. A stopped run goes on there, more seeds may join.
        seeds: How often each model is trained; None for the preset's numbers.
        only: Claims to try; none for all.
        workers: Processes that train, one thread each.
        overrides: Settings of the preset as ``a.b=value``.
    """

    preset: str = "demo"
    out: Path | None = None
    seeds: int | None = None
    only: Sequence[str] = ()
    workers: int = 2
    overrides: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReversalPlan:
    """What will be done.

    Attributes:
        claims: Claims that are tried.
        scale: The preset.
        trials: Models in all.
        done: Those that are there already.
        folder: Where everything is.
    """

    claims: tuple[str, ...]
    scale: ReversalScale
    trials: int
    done: int
    folder: Path


@dataclass(frozen=True, slots=True)
class ReversalReproResult:
    """What came of it.

    Attributes:
        plan: What was done.
        verdicts: A verdict a statement.
        sheets: The tables.
        seconds: Time by step.
        report: The tables and verdicts as Markdown.
        figures: The figures; none without matplotlib.
    """

    plan: ReversalPlan
    verdicts: tuple[Verdict, ...]
    sheets: tuple[Sheet, ...]
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    report: Path | None = None
    figures: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "claims": list(self.plan.claims),
            "models": self.plan.trials,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "tables": [sheet.to_json() for sheet in self.sheets],
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "report": str(self.report),
            "figures": [str(path) for path in self.figures],
        }


def run_repro_reversal(
    request: ReversalReproRequest, announce: Callable[[ReversalPlan], None] = lambda _: None
) -> ReversalReproResult:
    """Train every model that the claims need, ask each everything, and judge.

    Args:
        request: What is asked.
        announce: Called with the plan before the long work starts.

    Raises:
        UnknownName: If there is no such preset or claim.
        ConfigError: If a setting is wrong.
        RunConflict: If the folder holds a run of other settings.
    """
    if request.workers < 1:
        raise ConfigError(f"--workers {request.workers} does nothing.", "Give at least 1.")
    scale = load_scale(request.preset, request.seeds, request.overrides)
    claims = check_claims(request.only, scale)
    needed, steps = {trial.id: trial for trial in trials(scale, claims)}, Steps()
    out = (request.out or Path("runs") / f"repro-reversal-{request.preset}").absolute()
    with Run.open(out, _identity(scale), about={"command": "repro reversal", "start": now()}) as run:
        missing = run.todo(needed)
        plan = ReversalPlan(claims, scale, len(needed), len(needed) - len(missing), out)
        announce(plan)
        works = [Work(scale, out, needed[id]) for id in missing]
        for work in {work.set: work for work in works}.values():
            prepare(work)  # before several processes want it
        with steps.step("Training and asking"):
            for _, measured in spread(works, train_and_measure, request.workers, "Models"):
                run.append(measured.to_json())
        measured = [Measured.from_json(record) for record in run.records() if record["id"] in needed]
        result = _result(plan, Results(measured), steps)
        run.finish({**result.to_json(), "end": now()})
    return result


def train_and_measure(work: Work) -> Measured:
    """Train a model and ask it everything; done in a process of its own."""
    from obverse.recipes.repro_reversal_measure import train_and_measure

    return train_and_measure(work)


def _identity(scale: ReversalScale) -> dict[str, Any]:
    """Return what every model depends on; more seeds, steps and claims may join later."""
    resolved = scale.model_dump(mode="json")
    arms = {name: arm["objective"] for name, arm in ((resolved["mitigations"] or {}).get("arms", {})).items()}
    kept = {name: resolved[name] for name in ("entities", "model", "training")}
    return {"command": "repro reversal", **kept, "arms": arms}


def _result(plan: ReversalPlan, results: Results, steps: Steps) -> ReversalReproResult:
    judged = tuple(verdicts(results, plan.scale, plan.claims))
    tables = tuple(sheets(results, plan.scale, plan.claims))
    report = plan.folder / "report.md"
    page = markdown(judged, tables, "The reversal curse, reproduced")
    write_whole(report, lambda part: part.write_text(page, "utf-8"))
    figures: list[Path] = []
    if find_spec("matplotlib"):
        from obverse.recipes.repro_reversal_figures import write_figures

        figures = write_figures(results, plan.scale, plan.claims, plan.folder)
    return ReversalReproResult(plan, judged, tables, dict(steps.seconds), report, tuple(figures))
