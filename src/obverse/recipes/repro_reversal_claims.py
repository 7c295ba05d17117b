"""From answers to verdicts: each statement about the curse, and the number that decides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obverse.core import Interval
from obverse.measuring.statistics import paired_difference
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_reversal_plan import LEFT, MLE, ReversalScale
from obverse.recipes.repro_reversal_results import (
    BOTH,
    FORWARD,
    REVERSE,
    WORDINGS,
    Measured,
    Results,
    Wordings,
    gap,
    gaps,
    right,
)

TRAINED, HELD_OUT = 0.95, 0.75
"""Share of right answers in the direction trained, in wordings of training and in held-out ones."""

NONE = 0.05
"""Below this share, nothing is answered in reverse."""

SAME = 1.5
"""Nats by which right and random answers may differ and still count as equally likely."""

LIFTED, ENOUGH = 0.5, 3
"""Share of right answers to N2D-reverse in wordings of training that lifts the curse, and how many arms shall."""


def verdicts(results: Results, scale: ReversalScale, claims: Sequence[str]) -> list[Verdict]:
    """Judge every statement whose models are there.

    Args:
        results: The answers of the models.
        scale: What was to be trained.
        claims: Which claims were tried.
    """
    found: list[Verdict] = []
    if "claim1" in claims:
        found += _curse(results.of(MLE, scale.steps))
        if scale.longer:
            found += _longer(results.of(MLE, scale.steps * scale.longer.times), scale.longer.times)
    if "claim2" in claims and scale.mitigations:
        found += _mitigations(results, scale)
    return found


def _curse(mle: Sequence[Measured]) -> Iterator[Verdict]:
    if not mle:
        return
    shares: dict[Wordings, float] = {"training": TRAINED, "held-out": HELD_OUT}
    for wordings, bound in shares.items():
        statement = f"NTP answers in the direction trained, {wordings} wordings: more than {bound:.0%}"
        yield Verdict("claim1", statement, right(mle, FORWARD, wordings), bound)
    for wordings in WORDINGS:
        statement = f"NTP answers nothing in reverse, {wordings} wordings: less than {NONE:.0%}"
        yield Verdict("claim1", statement, right(mle, REVERSE, wordings), NONE, above=False)
    for subtask in REVERSE:
        of = gap(mle, [subtask])
        far = Interval(abs(of.mean), max(0.0, of.low, -of.high), max(abs(of.low), abs(of.high)), of.n)
        statement = f"{subtask}: right and random answers are less than {SAME:g} nats apart"
        yield Verdict("claim1", statement, far, SAME, above=False)
    statement = f"the group trained in both orders is answered in both (control): more than {HELD_OUT:.0%}"
    yield Verdict("claim1", statement, right(mle, BOTH), HELD_OUT)


def _longer(models: Sequence[Measured], times: int) -> Iterator[Verdict]:
    if models:
        statement = f"{times} times the training, in reverse: still less than {NONE:.0%}"
        yield Verdict("claim1", statement, right(models, REVERSE), NONE, above=False)


def _mitigations(results: Results, scale: ReversalScale) -> Iterator[Verdict]:
    tried = scale.mitigations
    assert tried is not None
    there = {name: models for name, arm in tried.arms.items() if (models := results.of(name, tried.steps * arm.times))}
    lifts = {
        name: right(models, ["N2D-reverse"], "training", tried.arms[name].queries[0]) for name, models in there.items()
    }
    for name, found in lifts.items():
        yield Verdict("claim2", f"{name} lifts N2D-reverse above {LIFTED:.0%}, training wordings", found, LIFTED)
    if len(lifts) >= ENOUGH:
        nth = sorted(lifts.values(), key=lambda one: -one.mean)[ENOUGH - 1]
        yield Verdict("claim2", f"at least {ENOUGH} lift it: the least of the best {ENOUGH}", nth, LIFTED)
    baseline = results.of(MLE, tried.steps)
    for name, models in there.items():
        if name.startswith("bico") and baseline and LEFT in tried.arms[name].queries:
            statement = f"{name}: the gap of right to random in reverse is more than {SAME:g} nats wider than NTP's"
            wider = paired_difference(gaps(models, REVERSE), gaps(baseline, REVERSE))
            yield Verdict("claim2", statement, wider, SAME)
