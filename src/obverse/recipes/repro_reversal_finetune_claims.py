"""Claim 3 judged: what fine-tuned models know in each direction, and whether BICO's turned positions matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obverse.core import Interval
from obverse.measuring.statistics import mean_interval, paired_difference
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_reversal_finetune import FineTune
from obverse.recipes.repro_reversal_plan import MLE, UNTRAINED
from obverse.recipes.repro_reversal_results import (
    FORWARD,
    REVERSE,
    WORDINGS,
    Measured,
    Results,
    Wordings,
    gaps,
    right,
    seconds_text,
    summary,
)
from obverse.recipes.repro_sheet import Row, Sheet, span

CLAIM = "claim3"

LEARNT, NONE = 0.5, 0.15
"""Share of right answers forward, in wordings of training, that shows that people were learnt; and below which nothing
is answered in reverse: one of ten names known is right by chance now and then."""

FURTHER = 3.0
"""Nats by which training has to widen the gap of right to random answers more forward than in reverse."""

BICO = "bico"
"""Beginning of the names of arms that see both sides."""


def finetune_verdicts(results: Results, settings: FineTune) -> Iterator[Verdict]:
    """Judge every arm that was trained.

    Args:
        results: The answers of the models.
        settings: Those of the claim.
    """
    base = results.of(UNTRAINED, 0)
    arms = {name: models for name in settings.arms if (models := results.of(name, settings.steps))}
    for name, models in arms.items():
        if name.startswith(BICO):
            continue
        learnt = right(models, FORWARD, "training")
        statement = f"{name} answers in the direction trained, training wordings: more than {LEARNT:.0%}"
        yield Verdict(CLAIM, statement, learnt, LEARNT)
        none = right(models, REVERSE)
        yield Verdict(CLAIM, f"{name} answers nothing in reverse: less than {NONE:.0%}", none, NONE, above=False)
        statement = f"{name}: training widens the gap more forward than in reverse, by more than {FURTHER:g} nats"
        yield Verdict(CLAIM, statement, _further(models, base), FURTHER)
    for name, models in arms.items():
        if name.startswith(BICO) and MLE in arms:
            statement = f"{name} widens the gap in reverse more than {MLE} does"
            yield Verdict(CLAIM, statement, paired_difference(gaps(models, REVERSE), gaps(arms[MLE], REVERSE)), 0.0)
    with_flip, without = arms.get(BICO), arms.get(f"{BICO}-no-flip")
    if with_flip and without:
        for direction, subtasks in (("in reverse", REVERSE), ("forward", FORWARD)):
            statement = f"{BICO}: turned positions widen the gap {direction}"
            yield Verdict(CLAIM, statement, paired_difference(gaps(with_flip, subtasks), gaps(without, subtasks)), 0.0)


def _further(models: Sequence[Measured], base: Sequence[Measured]) -> Interval:
    """Return the change of the gap forward minus that in reverse, by person."""
    after, before = ([gaps(of, subtasks) for subtasks in (FORWARD, REVERSE)] for of in (models, base))
    shared = [unit for unit in after[0] if all(unit in of for of in (after[1], *before))]
    changes = [(after[0][u] - before[0][u]) - (after[1][u] - before[1][u]) for u in shared]
    return mean_interval(changes, shares=False)


def finetune_sheets(results: Results, settings: FineTune) -> Iterator[Sheet]:
    """Return a table of each kind of wording: a row an arm and subtask, the pretrained model first."""
    base = results.of(UNTRAINED, 0)
    for wordings in WORDINGS:
        rows: list[Row] = []
        for name in (UNTRAINED, *settings.arms):
            models = base if name == UNTRAINED else results.of(name, settings.steps)
            if models:
                rows += [_row(name, models, base, subtask, wordings) for subtask in (*FORWARD, *REVERSE)]
        note = (
            "n: people of all seeds; exact 95 % intervals of shares, bootstrap over people of nats. right: every token "
            "of the answer is the likeliest. gap: log-probability of the right answer minus that of another person's; "
            "change: minus the gap, and the log-probability, of the pretrained model, paired by person. CPU-s: of "
            "training a model."
        )
        headers = ("arm", "subtask", "n", "right", "gap", "change of gap", "change of log-probability", "CPU-s")
        yield Sheet(CLAIM, f"{settings.model}, {settings.steps} steps, {wordings} wordings", headers, tuple(rows), note)


def _row(name: str, models: Sequence[Measured], base: Sequence[Measured], subtask: str, wordings: Wordings) -> Row:
    found = summary(models, [subtask], wordings, untrained=() if name == UNTRAINED else base)
    against = found.logprobs
    assert against is not None
    moved = (span(one.interval) if (one := found.change.get(what)) else "-" for what in ("gap", "logprob"))
    shown = span(found.values["greedy"], percent=True)
    return name, subtask, str(found.people), shown, span(against.gap.interval), *moved, seconds_text(models)
