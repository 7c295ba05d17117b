"""The answers of a reproduction of the reversal curse as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obverse.core import Interval
from obverse.data.reversal import SUBTASKS
from obverse.measuring.reversal_statistics import SubtaskSummary
from obverse.measuring.statistics import paired_difference
from obverse.recipes.repro_reversal_plan import MLE, UNTRAINED, ReversalScale
from obverse.recipes.repro_reversal_results import (
    FORWARD,
    REVERSE,
    WORDINGS,
    Measured,
    Results,
    Wordings,
    gap,
    gaps,
    right,
    seconds_text,
    shares,
    summary,
)
from obverse.recipes.repro_sheet import Row, Sheet, span

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
        for make in (_shares, _gaps):
            yield from (make(results, scale, wordings) for wordings in reversed(WORDINGS))


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


def _shares(results: Results, scale: ReversalScale, wordings: Wordings) -> Sheet:
    rows: list[Row] = []
    for name, steps, way, models, baseline in _asked(results, scale):
        found = [right(models, [subtask], wordings, way) for subtask in (*FORWARD, *REVERSE)]
        cost = paired_difference(shares(models, FORWARD, wordings, way), shares(baseline, FORWARD, wordings))
        cells = (span(one, percent=True) for one in found)
        rows.append(
            (name, steps, way, str(found[0].n), *cells, _against(name, cost, percent=True), seconds_text(models))
        )
    headers = ("objective", "steps", "asked", "n", *FORWARD, *REVERSE, "forward against mle", "CPU-s")
    note = (
        f"{_PERSONS}. Asked: left-to-right by a plain prompt, blank by a blank at its end, fill by masked tokens whose "
        "number is told. Forward against mle: N2D and D2N together, in percentage points, paired by person. Reversal "
        "and permutation write the facts in the other order into the training text; infilling does by the span that it "
        "moves; BICO and MLM-U never show it. CPU-s: of training one model."
    )
    return Sheet("claim2", f"Right answers by objective, {wordings} wordings", headers, tuple(rows), note)


def _gaps(results: Results, scale: ReversalScale, wordings: Wordings) -> Sheet:
    rows: list[Row] = []
    for name, steps, way, models, baseline in _asked(results, scale):
        found = [gap(models, [subtask], wordings, way) for subtask in (*FORWARD, *REVERSE)]
        gain = paired_difference(gaps(models, REVERSE, wordings, way), gaps(baseline, REVERSE, wordings))
        rows.append((name, steps, way, str(found[0].n), *map(span, found), _against(name, gain)))
    headers = ("objective", "steps", "asked", "n", *FORWARD, *REVERSE, "reverse against mle")
    note = (
        "Log-probability of the right answer minus that of another person's, in nats, with its bootstrap interval over "
        "n persons. Reverse against mle: N2D-reverse and D2N-reverse together, paired by person."
    )
    return Sheet("claim2", f"Log-probability by objective, {wordings} wordings", headers, tuple(rows), note)


def _asked(
    results: Results, scale: ReversalScale
) -> Iterator[tuple[str, str, str, Sequence[Measured], Sequence[Measured]]]:
    """Yield each way of asking an arm's models: name, steps, way, models, and those of next-token prediction."""
    tried = scale.mitigations
    assert tried is not None
    for name in (MLE, *tried.arms):
        arm = scale.arm(name)
        if models := results.of(name, tried.steps * arm.times):
            for way in arm.queries:
                yield name, str(tried.steps * arm.times), way, models, results.of(MLE, tried.steps)


def _against(name: str, found: Interval, *, percent: bool = False) -> str:
    return span(found, percent=percent) if name != MLE else "-"
