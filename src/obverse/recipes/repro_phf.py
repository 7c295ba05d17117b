"""Reproduce the claims of PHF (Korbak et al. 2023) at a scale that fits two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from obverse.recipes.repro import Verdict, spread
from obverse.recipes.repro_phf_claims import verdicts
from obverse.recipes.repro_phf_plan import REFERENCE, PHFSettings, check_claims, load_settings, trials
from obverse.recipes.repro_phf_results import Measured, Results
from obverse.recipes.repro_phf_tables import sheets
from obverse.recipes.repro_phf_train import Work, prepare
from obverse.recipes.repro_run import Reproduction, ReproPlan, ReproRequest, ReproResult, reproduce
from obverse.recipes.repro_sheet import Sheet
from obverse.recipes.steps import Steps


def run_repro_phf(
    request: ReproRequest, announce: Callable[[ReproPlan[PHFSettings]], None] = lambda _: None
) -> ReproResult[ReproPlan[PHFSettings]]:
    """Train every model that the claims need, measure each, and judge.

    Args:
        request: What is asked; its preset is ``smoke`` or ``demo``.
        announce: Called with the plan before the long work starts.

    Raises:
        UnknownName: If there is no such preset or claim.
        ConfigError: If a setting is wrong.
        RunConflict: If the folder holds a run of other settings.
    """
    settings = load_settings(request.preset, request.seeds, request.overrides)
    return reproduce(_PHF(settings, check_claims(request.only, settings)), request, announce)


class _PHF(Reproduction[PHFSettings]):
    paper = "phf"
    title = "Claims of PHF, reproduced"

    def identity(self) -> dict[str, Any]:
        resolved = self.settings.model_dump(mode="json")
        kept = (
            "corpus", "held_out", "vocabulary", "length", "model", "training", "samples", "tokens", "arms", "reference"
        )  # fmt: skip
        return {name: resolved[name] for name in kept}

    def trials(self) -> list[str]:
        return [trial.id for trial in trials(self.settings, self.claims) if trial.arm != REFERENCE]

    def measure(self, missing: Sequence[str], folder: Path, request: ReproRequest, steps: Steps) -> Iterator[Any]:
        if not missing:
            return
        with steps.step("Training a tokenizer"):
            prepare(self.settings, folder)
        needed, wanted = trials(self.settings, self.claims), set(missing)
        for trial in needed:
            if trial.arm == REFERENCE:
                with steps.step("Training the reference", shown=True):
                    make_reference(Work(self.settings, folder, trial))
        works = [Work(self.settings, folder, trial) for trial in needed if trial.id in wanted]
        with steps.step("Training and measuring"):
            for _, measured in spread(works, train_and_measure, request.workers, "Models", request.ray):
                yield measured.to_json()

    def judge(self, records: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Verdict], Sequence[Sheet]]:
        results = Results(map(Measured.from_json, records))
        return tuple(verdicts(results, self.settings, self.claims)), [*sheets(results, self.settings, self.claims)]

    def figures(self, records: Sequence[Mapping[str, Any]], folder: Path) -> Sequence[Path]:
        from obverse.recipes.repro_phf_figures import write_figures

        return write_figures(Results(map(Measured.from_json, records)), self.settings, self.claims, folder)


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
