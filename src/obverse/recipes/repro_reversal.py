"""Reproduce the reversal curse (Berglund et al. 2023) and what is said to lift it, from scratch on two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from obverse.recipes.repro import Verdict, spread
from obverse.recipes.repro_reversal_claims import verdicts
from obverse.recipes.repro_reversal_plan import ReversalScale, check_claims, load_scale, trials
from obverse.recipes.repro_reversal_results import Measured, Results
from obverse.recipes.repro_reversal_tables import sheets
from obverse.recipes.repro_reversal_train import prepare
from obverse.recipes.repro_reversal_work import Work
from obverse.recipes.repro_run import Reproduction, ReproPlan, ReproRequest, ReproResult, reproduce
from obverse.recipes.repro_sheet import Sheet
from obverse.recipes.steps import Steps


def run_repro_reversal(
    request: ReproRequest, announce: Callable[[ReproPlan[ReversalScale]], None] = lambda _: None
) -> ReproResult[ReproPlan[ReversalScale]]:
    """Train every model that the claims need, ask each everything, and judge.

    Args:
        request: What is asked; its preset is ``smoke`` or ``demo``.
        announce: Called with the plan before the long work starts.

    Raises:
        UnknownName: If there is no such preset or claim.
        ConfigError: If a setting is wrong.
        RunConflict: If the folder holds a run of other settings.
    """
    scale = load_scale(request.preset, request.seeds, request.overrides)
    return reproduce(_Reversal(scale, check_claims(request.only, scale)), request, announce)


class _Reversal(Reproduction[ReversalScale]):
    paper = "reversal"
    title = "The reversal curse, reproduced"

    def identity(self) -> dict[str, Any]:
        resolved = self.settings.model_dump(mode="json")
        tried = (resolved["mitigations"] or {}).get("arms", {})
        arms = {name: {"objective": arm["objective"], "model": arm["model"]} for name, arm in tried.items()}
        return {**{name: resolved[name] for name in ("entities", "model", "training")}, "arms": arms}

    def trials(self) -> list[str]:
        return [trial.id for trial in trials(self.settings, self.claims)]

    def measure(self, missing: Sequence[str], folder: Path, request: ReproRequest, steps: Steps) -> Iterator[Any]:
        wanted = set(missing)
        works = [Work(self.settings, folder, it) for it in trials(self.settings, self.claims) if it.id in wanted]
        for work in {work.set: work for work in works}.values():
            prepare(work)  # before several processes want it
        with steps.step("Training and asking"):
            for _, measured in spread(works, train_and_measure, request.workers, "Models", request.ray):
                yield measured.to_json()

    def judge(self, records: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Verdict], Sequence[Sheet]]:
        results = Results(map(Measured.from_json, records))
        return verdicts(results, self.settings, self.claims), [*sheets(results, self.settings, self.claims)]

    def figures(self, records: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        from obverse.recipes.repro_reversal_figures import write_figures

        return write_figures(Results(map(Measured.from_json, records)), self.settings, self.claims, folder)


def train_and_measure(work: Work[ReversalScale]) -> Measured:
    """Train a model and ask it everything; done in a process of its own."""
    from obverse.recipes.repro_reversal_measure import train_and_measure

    return train_and_measure(work)
