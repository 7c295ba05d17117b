"""The answers of a reproduction of the reversal curse as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obverse.measuring.reversal_statistics import SubtaskSummary
from obverse.recipes.repro_reversal_plan import MLE, UNTRAINED, ReversalScale
from obverse.recipes.repro_reversal_results import (
    FORWARD,
    REVERSE,
    WORDINGS,
    Measured,
    Results,
    Wordings,
    gap,
    right,
    summary,
)
from obverse.recipes.repro_sheet import Row, Sheet, span

SUBTASKS = (*FORWARD, *REVERSE, "both-N2D", "both-D2N")

_PERSONS = (
    "n: persons, of all seeds; right: every token of the answer is the likeliest (what greedy writing would give), "
    "with its exact 95 % interval, a person's wordings being one observation; gap: log-probability of the right answer "
    "minus that of another person's, in nats, with its bootstrap interval over persons"
)


def sheets(results: Results, scale: ReversalScale, claims: Sequence[str]) -> Iterator[Sheet]:
    """Yield the tables of the claims that were tried."""
    if "claim1" in claims:
        runs = [(f"{scale.steps} steps", scale.steps)]
        if scale.longer:
            runs.append((f"{scale.steps * scale.longer.times} steps", scale.steps * scale.longer.times))
        for title, steps in runs:
            if models := results.of(MLE, steps):
                yield _curse(f"Next-token prediction, {title}", models, results.of(UNTRAINED, 0))
    if "claim2" in claims and scale.mitigations:
        for wordings in WORDINGS:
            yield _mitigations(results, scale, wordings)


def _curse(title: str, models: Sequence[Measured], untrained: Sequence[Measured]) -> Sheet:
    rows: list[Row] = []
    for wordings in reversed(WORDINGS):
        for subtask in SUBTASKS:
            found = summary(models, [subtask], wordings, untrained=untrained)
            rows.append(
                (subtask, wordings, str(found.people), span(found.values["greedy"], percent=True), *_gap(found))
            )
    headers = ("subtask", "wordings", "n", "right", "gap", "paired t", "t-test", "KS", "change")
    note = (
        f"{_PERSONS}; paired t: p-value that the gap is 0; t-test, KS: p-values of right against random answers as in "
        "the paper, which does not pair them; change: gap minus that of the untrained model, paired by person."
    )
    return Sheet("claim1", title, headers, tuple(rows), note)


def _gap(found: SubtaskSummary) -> tuple[str, ...]:
    against, change = found.logprobs, found.change.get("gap")
    assert against is not None
    of = against.gap
    ps = (against.paired_t, against.t, against.ks)
    moved = f"{change.difference:.2f} ({change.low:.2f} to {change.high:.2f})" if change else "-"
    return f"{of.difference:.2f} ({of.low:.2f} to {of.high:.2f})", *(f"{p:.2g}" for p in ps), moved


def _mitigations(results: Results, scale: ReversalScale, wordings: Wordings) -> Sheet:
    more = scale.mitigations
    assert more is not None
    rows: list[Row] = []
    for name in (MLE, *more.arms):
        arm = scale.arm(name)
        if not (models := results.of(name, more.steps * arm.times)):
            continue
        for way in arm.queries:
            shares = (span(right(models, [subtask], wordings, way), percent=True) for subtask in (*FORWARD, *REVERSE))
            gaps = (span(gap(models, [subtask], wordings, way)) for subtask in REVERSE)
            seconds = sum(one.seconds for one in models) / len(models)
            people = right(models, FORWARD[:1], wordings, way).n
            rows.append((name, str(more.steps * arm.times), way, str(people), *shares, *gaps, f"{seconds:.0f}"))
    headers = ("objective", "steps", "asked", "n", *FORWARD, *REVERSE, *(f"gap {name}" for name in REVERSE), "seconds")
    note = (
        f"{_PERSONS}. Asked: left-to-right by a plain prompt, blank by a blank at its end, fill by masked tokens whose "
        "number is told. Reversal and permutation write the facts in the other order into the training text; infilling "
        "does by the span that it moves; BICO and MLM-U never show it. seconds: of training, by the clock."
    )
    return Sheet("claim2", f"Objectives at equal steps, {wordings} wordings", headers, tuple(rows), note)
