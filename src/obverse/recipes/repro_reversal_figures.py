"""Which answers go into which figure of the reproduction of the reversal curse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.data.reversal import SUBTASKS
from obverse.measuring.reversal import Answer
from obverse.recipes.repro_reversal_plan import MLE, ReversalScale
from obverse.recipes.repro_reversal_results import FORWARD, REVERSE, Results, answers, by_person, right
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
        written += write_violins(
            [violin(subtask, answers(mle, [subtask])) for subtask in (*FORWARD, *REVERSE)], folder, "logprobs"
        )
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


def violin(subtask: str, answers: Sequence[Answer]) -> Violin:
    """Return the mean log-probabilities of right and random answers by person, of answers that have both."""
    pairs = [(one.unit, one.logprob, one.random_logprob) for one in answers]
    both = [(unit, right, other) for unit, right, other in pairs if right is not None and other is not None]
    right = by_person((unit, value) for unit, value, _ in both)
    other = by_person((unit, value) for unit, _, value in both)
    return Violin(subtask, tuple(right.values()), tuple(other.values()))
