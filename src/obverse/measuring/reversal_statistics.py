"""Answers of each subtask as numbers: by person, with exact intervals, against chance and the untrained model.

A person asked in ten wordings is one observation, the mean of ten: wordings of one person go together, and intervals
that count each of them are too narrow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from obverse.core import DataError, Interval, JsonValue
from obverse.measuring.exact_tests import ks_test, paired_t_test, share_interval, t_test
from obverse.measuring.reversal import Answer
from obverse.measuring.reversal_metrics import VERDICTS
from obverse.measuring.statistics import Paired, mean_interval, paired

Unit = tuple[str, str]
"""Run and person."""


@dataclass(frozen=True, slots=True)
class Against:
    """Right answers against random ones, by person.

    Attributes:
        right: Mean log-probability of the right answers, in nats.
        random: Of the random ones.
        gap: Right minus random, with a bootstrap interval and a sign-flip permutation test.
        paired_t: p-value of the t-test that the gap is 0.
        t: p-value of the two-sample t-test of right against random, as in the paper, which does not know the pairs.
        ks: p-value of the two-sample Kolmogorov-Smirnov test, likewise.

    Source:
        Berglund et al. 2023 (arXiv 2309.12288), section 2.1.2: one mean a person, two-sided t-test and KS test.
    """

    right: Interval
    random: Interval
    gap: Paired
    paired_t: float
    t: float
    ks: float


@dataclass(frozen=True, slots=True)
class SubtaskSummary:
    """What the answers of one subtask amount to.

    Attributes:
        prompts: Questions.
        people: Persons, of all runs together; n of every interval.
        values: Metric or verdict → mean over persons. Of what is right or wrong the interval is Clopper-Pearson's, with
            as many observations as persons; of others a bootstrap's over persons.
        logprobs: Right answers against random ones; None if there were none.
        change: Name → trained minus untrained, paired by person: of each of ``values``, of ``logprob`` (of the right
            answer) and of ``gap``. Empty without an untrained model.
    """

    prompts: int
    people: int
    values: Mapping[str, Interval]
    logprobs: Against | None
    change: Mapping[str, Paired]

    def to_json(self) -> dict[str, JsonValue]:
        """Return the numbers as a JSON object; what is no number (a test of one person) is null."""
        return _finite(asdict(self))


def summarize(
    answers: Mapping[str, Sequence[Answer]],
    untrained: Mapping[str, Sequence[Answer]] | None = None,
    *,
    seed: int = 0,
) -> dict[str, SubtaskSummary]:
    """Sum up the answers of each subtask.

    Args:
        answers: Subtask → answers, of several runs together if their `Answer.run` differ.
        untrained: The same of the model before it was trained: of each run, or of one for all runs (``run=""``).
            Persons are paired with themselves.
        seed: Seed of bootstraps and permutations.

    Raises:
        DataError: If a subtask has no answers, or the untrained model was not asked about a person.
    """
    before = untrained or {}
    for name, found in answers.items():
        if not found:
            raise DataError(f"The subtask {name} has no answers.", "Leave it out.")
        if untrained is not None and not before.get(name):
            raise DataError(f"The untrained model has no answers of {name}.", "Ask it the same questions.")
    return {name: _summary(name, found, before.get(name, ()), seed) for name, found in answers.items()}


def _summary(name: str, answers: Sequence[Answer], untrained: Sequence[Answer], seed: int) -> SubtaskSummary:
    columns = _columns(answers)
    values = {
        what: share_interval([*of.values()]) if what in VERDICTS else mean_interval([*of.values()], seed, shares=False)
        for what, of in columns.items()
        if what not in ("logprob", "random_logprob", "gap")
    }
    before = _columns(untrained)
    change = {
        what: paired(*_pairs(name, columns[what], of), seed)
        for what, of in before.items()
        if what in columns and what != "random_logprob"
    }
    people = len({answer.unit for answer in answers})
    return SubtaskSummary(len(answers), people, values, _against(columns, seed), change)


def _columns(answers: Sequence[Answer]) -> dict[str, dict[Unit, float]]:
    """Return each number of the answers, as its mean over the questions of each person."""
    found: dict[str, dict[Unit, list[float]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        numbers = {"logprob": answer.logprob, "random_logprob": answer.random_logprob, "gap": answer.gap}
        for name, value in {**answer.verdicts, **numbers}.items():
            if value is not None:
                found[name][answer.unit].append(value)
    return {name: {unit: math.fsum(values) / len(values) for unit, values in of.items()} for name, of in found.items()}


def _pairs(name: str, after: Mapping[Unit, float], before: Mapping[Unit, float]) -> tuple[list[float], list[float]]:
    earlier: list[float] = []
    for run, who in after:
        value = before.get((run, who), before.get(("", who)))
        if value is None:
            raise DataError(
                f"The untrained model was not asked about person {who} of run {run!r} ({name}).",
                "Ask it the same questions, under the same run or under none.",
            )
        earlier.append(value)
    return [*after.values()], earlier


def _against(columns: Mapping[str, Mapping[Unit, float]], seed: int) -> Against | None:
    if "gap" not in columns:
        return None
    gap = columns["gap"]
    right, random = ([columns[what][unit] for unit in gap] for what in ("logprob", "random_logprob"))
    return Against(
        mean_interval(right, seed, shares=False),
        mean_interval(random, seed, shares=False),
        paired([*gap.values()], [0.0] * len(gap), seed),
        paired_t_test([*gap.values()]),
        t_test(right, random),
        ks_test(right, random),
    )


def by_run(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Return the papers' numbers: run → metric → mean over all its questions; the standard deviation is over runs."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        for name, value in answer.verdicts.items():
            found[answer.run][name].append(value)
    return {run: {name: math.fsum(of) / len(of) for name, of in names.items()} for run, names in found.items()}


def _finite(value: Any) -> Any:
    """Return nested numbers with None in place of NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in cast("dict[str, Any]", value).items()}
    return None if isinstance(value, float) and math.isnan(value) else value
