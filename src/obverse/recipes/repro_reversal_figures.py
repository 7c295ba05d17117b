"""Which answers go into which figure of the reproduction of the reversal curse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.recipes.repro_reversal_plan import MLE, ReversalScale
from obverse.recipes.repro_reversal_results import FORWARD, REVERSE, Measured, Results, answers, right
from obverse.recipes.repro_reversal_tables import SUBTASKS
from obverse.report.reversal_figures import Group, Violin, write_bars, write_violins


def write_figures(results: Results, scale: ReversalScale, claims: Sequence[str], folder: Path) -> list[Path]:
    """Write the figures of the claims that were tried into a folder, and return where."""
    written: list[Path] = []
    mle = results.of(MLE, scale.steps)
    if "claim1" in claims and mle:
        runs = {scale.steps: mle}
        if scale.longer:
            steps = scale.steps * scale.longer.times
            runs[steps] = results.of(MLE, steps)
        groups = [
            Group(f"{steps} steps", {subtask: right(models, [subtask]) for subtask in SUBTASKS})
            for steps, models in runs.items()
            if models
        ]
        written += write_bars(groups, folder, "curse")
        written += write_violins([_violin(mle, subtask) for subtask in (*FORWARD, *REVERSE)], folder, "logprobs")
    if "claim2" in claims and scale.mitigations:
        more = scale.mitigations
        groups: list[Group] = []
        for name in (MLE, *more.arms):
            arm = scale.arm(name)
            if models := results.of(name, more.steps * arm.times):
                way = arm.queries[0]
                shares = {subtask: right(models, [subtask], "held-out", way) for subtask in (*FORWARD, *REVERSE)}
                groups.append(Group(name, shares))
        written += write_bars(groups, folder, "mitigations") if groups else []
    return written


def _violin(models: Sequence[Measured], subtask: str) -> Violin:
    by_person: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in answers(models, [subtask]):
        by_person.setdefault(one.unit, []).append((one.logprob or 0.0, one.random_logprob or 0.0))
    means = [tuple(sum(column) / len(pairs) for column in zip(*pairs, strict=True)) for pairs in by_person.values()]
    return Violin(subtask, tuple(mean[0] for mean in means), tuple(mean[1] for mean in means))
