"""The metrics of a benchmark: what each reads off a case, and their means over cases with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from obverse.core import KINDS, Interval, Kind
from obverse.measuring.statistics import harmonic_mean, mean_intervals, resampled_means
from obverse.verifying.measures import Measured
from obverse.verifying.probes import Answer

Better = Literal["up", "down", "near"]
"""Which way is better; `near`: the nearer to the unedited model the better."""

PARTS: tuple[Kind, ...] = ("efficacy", "generalization", "specificity")
"""What the score is the harmonic mean of."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a benchmark's table.

    Attributes:
        name: Its name in records and files.
        label: Its name in tables: the papers' where they have one.
        meaning: What it says, in a line.
        scale: What it is multiplied by in tables.
        better: Which way is better.
        shares: Whether a case's value is a success or a failure, or a mean of such.
    """

    name: str
    label: str
    meaning: str
    scale: float = 100.0
    better: Better = "up"
    shares: bool = False


_LETTERS: Mapping[Kind, tuple[str, str]] = {
    "efficacy": ("E", "the edited prompt"),
    "generalization": ("P", "paraphrases"),
    "specificity": ("N", "neighbours, which must not change"),
    "reverse": ("Rev", "the reverse direction"),
}

_ASKED: dict[str, tuple[str, str, bool, Callable[[Answer], float | None]]] = {
    "success": ("S", "the right answer is likelier than its rival", True,
                lambda a: None if a.success is None else float(a.success)),
    "magnitude": ("M", "by how much, in probability", False, lambda a: a.magnitude),
    "token_accuracy": ("A", "share of the answer's tokens that are the arg-max, teacher-forced", True,
                       lambda a: a.token_accuracy),
    "generated": ("X", "greedy text begins with the whole answer", True, lambda a: float(a.exact)),
}  # fmt: skip

_OTHERS = (
    Metric("plus_success", "NS+", "neighbours with the edited statement before them: success", shares=True),
    Metric("plus_magnitude", "NM+", "the same: magnitude"),
    Metric("neighbour_kl", "KL", "neighbours: KL(unedited || edited) of the next token, nats", 1.0, "down"),
    Metric("plus_kl", "KL+", "the same with the edited statement before them", 1.0, "down"),
    Metric("ngram_entropy", "GE", "entropy of n-grams of sampled texts, bits times 100", 100.0, "near"),
    Metric("reference_score", "RS", "sampled texts against texts about the target, TF-IDF cosine"),
    Metric("essence", "essence", "perplexity of texts about the subject", 1.0, "near"),
    *(
        Metric(name, label, meaning, shares=True)
        for name, label, meaning in (
            ("logical-generalization", "LG", "RippleEdits: what follows by logic"),
            ("compositionality-1", "C1", "RippleEdits: chains that go on from the new object"),
            ("compositionality-2", "C2", "RippleEdits: chains of others through the subject"),
            ("subject-aliasing", "Alias", "RippleEdits: the subject under other names"),
            ("forgetfulness", "Keep", "RippleEdits: other objects of the relation stay"),
            ("relation-specificity", "RSpec", "RippleEdits: other relations of the subject stay"),
            ("multi-hop", "MH", "MQuAKE: questions that need the whole chain"),
            ("hops", "Hops", "MQuAKE: all single facts of the chain"),
        )
    ),
    Metric("drift_kl", "drift", "neutral text: KL(unedited || edited) of a token, nats", 1.0, "down"),
    Metric("drift_nll", "NLL", "neutral text: surprise of a token, nats", 1.0, "near"),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(
            Metric(f"{kind}_{protocol}", letter + suffix, f"{whom}: {meaning}", shares=shares)
            for protocol, (suffix, meaning, shares, _) in _ASKED.items()
            for kind, (letter, whom) in _LETTERS.items()
        ),
        *_OTHERS,
    )
}
"""Name → metric, in the order of tables."""

SCORES: dict[str, tuple[str, str]] = {
    "score": ("S", "success"),
    "accuracy_score": ("SA", "token_accuracy"),
}
"""Harmonic means over efficacy, paraphrases and neighbours: name → label and protocol (ROME: S; zsRE's score: SA)."""


def case_values(measured: Measured) -> dict[str, float]:
    """Return each metric's value of a case: the mean over its prompts; those it has no prompts for are left out.

    Where an edit broke the model values may not be finite; comparisons then count as lost.

    Source:
        rome.md 5.2 and 5.3: means over prompts first, then over cases.
    """
    values: dict[str, list[float]] = {}
    for kind in KINDS:
        answers = [answer for answer in measured.answers if answer.kind == kind]
        for protocol, (_, _, _, read) in _ASKED.items():
            found = [value for answer in answers if (value := read(answer)) is not None]
            values[f"{kind}_{protocol}"] = found
    plus = [one.plus for one in measured.locality if one.plus is not None]
    values["plus_success"] = [float(own > rival) for own, rival in plus]
    values["plus_magnitude"] = [own - rival for own, rival in plus]
    values["neighbour_kl"] = [one.kl for one in measured.locality]
    values["plus_kl"] = [one.plus_kl for one in measured.locality]
    for name in ("ngram_entropy", "reference_score", "essence"):
        value = getattr(measured, name)
        values[name] = [] if value is None else [value]
    for criterion, passed in measured.consequences.items():
        values[criterion] = [float(one) for one in passed]
    if measured.drift is not None:
        values["drift_kl"], values["drift_nll"] = [measured.drift.kl], [measured.drift.nll]
    return {name: sum(values[name]) / len(values[name]) for name in METRICS if values.get(name)}


def summarize(values: Sequence[Mapping[str, float]], seed: int = 0) -> dict[str, Interval]:
    """Return the mean over cases of each metric that any case has, and the scores, with 95 % intervals.

    Args:
        values: Of each case, from `case_values`.
        seed: Seed of the bootstrap.

    Source:
        rome.md 5.2. Intervals are over cases: Wilson's where each is a success or a failure, else a bootstrap.
    """
    columns = {name: found for name in METRICS if (found := [one[name] for one in values if name in one])}
    shares = [METRICS[name].shares for name in columns]
    out = dict(zip(columns, mean_intervals([*columns.values()], shares, seed), strict=True))
    for name, (_, protocol) in SCORES.items():
        if (score := _score(values, [f"{kind}_{protocol}" for kind in PARTS], seed)) is not None:
            out[name] = score
    return out


def _score(values: Sequence[Mapping[str, float]], parts: Sequence[str], seed: int) -> Interval | None:
    """Return the harmonic mean of mean parts; its interval from cases drawn together, so that their ties count."""
    rows = np.array([[one.get(part, np.nan) for part in parts] for one in values], dtype=np.float64)
    if not len(rows) or np.isnan(rows).all(0).any():
        return None
    mean = harmonic_mean([float(part) for part in np.nanmean(rows, 0)])
    if len(rows) == 1:
        return Interval(mean, mean, mean, 1)
    means = resampled_means(rows, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(
            (means > 0).all(1), len(parts) / (1 / means).sum(1), np.where(np.isnan(means).any(1), np.nan, 0)
        )
    low, high = np.nanquantile(scores, (0.025, 0.975))
    return Interval(mean, float(low), float(high), len(rows))
