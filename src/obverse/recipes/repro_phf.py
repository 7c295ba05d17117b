"""Reproduce the claims of PHF (Korbak et al. 2023) at a scale that fits two cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, Run, write_whole
from obverse.recipes.record import now
from obverse.recipes.repro import Verdict, spread
from obverse.recipes.repro_phf_claims import verdicts
from obverse.recipes.repro_phf_plan import REFERENCE, PHFSettings, Trial, check_claims, load_settings, trials
from obverse.recipes.repro_phf_results import Measured, Results
from obverse.recipes.repro_phf_tables import sheets
from obverse.recipes.repro_phf_train import Work, prepare
from obverse.recipes.repro_sheet import Sheet, markdown
from obverse.recipes.steps import Steps


@dataclass(frozen=True, slots=True)
class PHFRequest:
    """What is asked of `run_repro_phf`.

    Attributes:
        preset: The scale: ``smoke`` or ``demo``.
        out: The folder; by default ``runs/repro-phf-PRESET``. A stopped run goes on there, more seeds may join.
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
class PHFPlan:
    """What will be done.

    Attributes:
        claims: Claims that are tried.
        settings: The preset.
        trials: Models in all, the reference apart.
        done: Those that are there already.
        folder: Where everything is.
    """

    claims: tuple[str, ...]
    settings: PHFSettings
    trials: int
    done: int
    folder: Path


@dataclass(frozen=True, slots=True)
class PHFResult:
    """What came of it.

    Attributes:
        plan: What was done.
        verdicts: A verdict a statement.
        sheets: The tables.
        seconds: Time by step.
        report: The tables and verdicts as Markdown.
        figures: The figures; none without matplotlib.
    """

    plan: PHFPlan
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


def run_repro_phf(request: PHFRequest, announce: Callable[[PHFPlan], None] = lambda _: None) -> PHFResult:
    """Train every model that the claims need, measure each, and judge.

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
    settings = load_settings(request.preset, request.seeds, request.overrides)
    claims = check_claims(request.only, settings)
    needed, steps = trials(settings, claims), Steps()
    out = (request.out or Path("runs") / f"repro-phf-{request.preset}").absolute()
    with Run.open(out, _identity(settings), about={"command": "repro phf", "start": now()}) as run:
        asked = [trial.id for trial in needed if trial.arm != REFERENCE]
        missing = run.todo(asked)
        plan = PHFPlan(claims, settings, len(asked), len(asked) - len(missing), out)
        announce(plan)
        _work(run, settings, needed, set(missing), request.workers, steps)
        measured = [Measured.from_json(record) for record in run.records() if record["id"] in asked]
        result = _result(plan, Results(measured), steps)
        run.finish({**result.to_json(), "end": now()})
    return result


def _identity(settings: PHFSettings) -> dict[str, Any]:
    """Return what every model depends on; more seeds, methods and claims may join later."""
    kept = ("corpus", "held_out", "vocabulary", "length", "model", "training", "samples", "tokens", "arms", "reference")
    return {"command": "repro phf", **{name: settings.model_dump(mode="json")[name] for name in kept}}


def _work(
    run: Run, settings: PHFSettings, needed: Sequence[Trial], missing: set[str], workers: int, steps: Steps
) -> None:
    if not missing:
        return
    with steps.step("Training a tokenizer"):
        prepare(settings, run.folder)
    for trial in needed:
        if trial.arm == REFERENCE:
            with steps.step("Training the reference", shown=True):
                make_reference(Work(settings, run.folder, trial))
    works = [Work(settings, run.folder, trial) for trial in needed if trial.id in missing]
    with steps.step("Training and measuring"):
        for _, measured in spread(works, train_and_measure, workers, "Models"):
            run.append(measured.to_json())


def make_reference(work: Work) -> None:
    """Train the reference and keep texts that it writes, unless both are there."""
    from obverse.recipes.repro_phf_measure import write_reference
    from obverse.recipes.repro_phf_train import train

    train(work)
    write_reference(work)


def train_and_measure(work: Work) -> Measured:
    """Train a model and measure it; done in a process of its own."""
    from obverse.recipes.repro_phf_measure import measure
    from obverse.recipes.repro_phf_train import train

    train(work)
    return measure(work)


def _result(plan: PHFPlan, results: Results, steps: Steps) -> PHFResult:
    from obverse.recipes.repro_phf_figures import write_figures

    judged = tuple(verdicts(results, plan.settings, plan.claims))
    tables = tuple(sheets(results, plan.settings, plan.claims))
    report = plan.folder / "report.md"
    write_whole(report, lambda part: part.write_text(markdown(judged, tables), "utf-8"))
    figures = write_figures(results, plan.settings, plan.claims, plan.folder) if find_spec("matplotlib") else ()
    return PHFResult(plan, judged, tables, dict(steps.seconds), report, tuple(figures))
