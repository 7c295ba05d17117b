"""What a model prefers to say: scores of what it writes, and how varied it is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from obverse.core import Interval, JsonValue
from obverse.measuring.samples import BATCH, Sample, draw_samples
from obverse.measuring.scenarios import Scenario
from obverse.measuring.self_bleu import self_bleu
from obverse.measuring.statistics import mean_interval
from obverse.measuring.text import mean_distinct, pooled_entropy

if TYPE_CHECKING:
    from obverse.measuring.scorers import Scorer
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)

GROUPS = 25
"""Texts that the expected maximum is of (RealToxicityPrompts and Korbak et al.)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number about what a model writes.

    Attributes:
        label: Its name in tables.
        meaning: What it says, in a line.
        better: Which way is better; None where neither is.
    """

    label: str
    meaning: str
    better: str | None = None


METRICS: Mapping[str, Metric] = {
    "score": Metric("score", "mean misalignment score of a text", "down"),
    "score_max@25": Metric("max@25", "mean over groups of 25 texts of the worst score in each", "down"),
    "score_p95": Metric("95th", "95th percentile of scores", "down"),
    "score_max": Metric("max", "the worst score of all", "down"),
    "hits": Metric("hits", "share of texts with a score above the threshold", "down"),
    "failures": Metric("failed", "texts that could not be scored; they are in no score", "down"),
    "length": Metric("length", "mean characters of a text"),
    "tokens": Metric("tokens", "mean tokens of a text, the end token included"),
    "ended": Metric("ended", "share of texts that the model ended before the limit"),
    "distinct_1": Metric("distinct-1", "share of distinct words in a text, mean over texts", "up"),
    "distinct_2": Metric("distinct-2", "share of distinct pairs of words in a text, mean over texts", "up"),
    "entropy_1": Metric("entropy-1", "entropy of the words of all texts together, in nats", "up"),
    "entropy_2": Metric("entropy-2", "entropy of the pairs of words of all texts together, in nats", "up"),
    "self_bleu_5": Metric("self-BLEU", "mean BLEU-5 of each text against the others, by words", "down"),
    "compiles": Metric("parses", "share of texts that are Python as they stand", "up"),
}
"""Every metric by name; ``compiles`` only where the scorer can tell."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What came of one scenario.

    Attributes:
        scenario: The scenario.
        samples: What was written.
        scores: One a sample; NaN for one that could not be scored.
        metrics: Name → value; those of `METRICS` that there are. Intervals are 95 %: bootstrap over texts for means,
            Wilson's for shares.
        few: Whether fewer than 25 texts were scored, so that ``score_max@25`` is only their maximum.
    """

    scenario: Scenario
    samples: tuple[Sample, ...]
    scores: tuple[float, ...]
    metrics: Mapping[str, Interval | float] = field(default_factory=dict[str, "Interval | float"])
    few: bool = False

    def flat(self) -> dict[str, float]:
        """Return a number a metric, for logs: means with ``_low`` and ``_high``."""
        out: dict[str, float] = {}
        for name, value in self.metrics.items():
            if isinstance(value, Interval):
                out |= {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                out[name] = value
        return out

    def worst(self, number: int) -> list[tuple[Sample, float]]:
        """Return the samples of the highest scores, highest first."""
        pairs = [pair for pair in zip(self.samples, self.scores, strict=True) if not math.isnan(pair[1])]
        return sorted(pairs, key=lambda pair: -pair[1])[:number]

    def to_json(self) -> dict[str, JsonValue]:
        """Return scenario and metrics as JSON values, without the samples."""
        return {
            "scenario": self.scenario.model_dump(mode="json"),
            "metrics": {name: _json(value) for name, value in self.metrics.items()},
            "few": self.few,
        }


def measure_preferences(
    lm: LanguageModel,
    scenarios: Sequence[Scenario],
    scorer: Scorer,
    seed: int | None = None,
    *,
    batch: int = BATCH,
    label: str = "",
) -> dict[str, Preferences]:
    """Let a model write in some scenarios, and score what it writes.

    May be called amid training: the model is in evaluation mode meanwhile and as before afterwards, and no state of a
    random generator is touched. With one seed the same draws are used at every call, which makes calls comparable.

    Args:
        lm: The model.
        scenarios: The scenarios, of different names.
        scorer: From texts to misalignment.
        seed: Seed of the draws, in place of the scenarios' own.
        batch: Texts written at once.
        label: Name of the progress bar, which the scenario's is put after; empty for none.

    Returns:
        By name of the scenario; `Preferences.flat` has the numbers to log.

    Raises:
        ConfigError: If a scenario names tokens that the model lacks.
        DataError: If a prompt is too long.
    """
    out: dict[str, Preferences] = {}
    for given in scenarios:
        scenario = given if seed is None else given.model_copy(update={"seed": seed})
        samples = draw_samples(lm, scenario, batch=batch, label=f"{label} {scenario.name}" if label else "")
        out[scenario.name] = judge(samples, scenario, scorer)
    return out


def judge(samples: Sequence[Sample], scenario: Scenario, scorer: Scorer) -> Preferences:
    """Score samples and sum them up; see `summarize`."""
    texts = [scenario.scored_text(sample.prompt, sample.text) for sample in samples]
    parses = cast("Callable[[Sequence[str]], list[bool]] | None", getattr(scorer, "parses", None))
    return summarize(samples, scores_of(scorer, texts), scenario, parses(texts) if parses else None)


def scores_of(scorer: Scorer, texts: Sequence[str]) -> list[float]:
    """Return a score a text; NaN where the scorer gives none or raises, which is logged."""
    try:
        return [float(score) for score in scorer.score(texts)]
    except Exception as error:  # any: a scorer is foreign code, and one bad text must not lose a long run
        if len(texts) == 1:
            _log.warning("A text could not be scored (%s: %s).", type(error).__name__, error)
            return [math.nan]
    return [scores_of(scorer, [text])[0] for text in texts]


def summarize(
    samples: Sequence[Sample], scores: Sequence[float], scenario: Scenario, parses: Sequence[bool] | None = None
) -> Preferences:
    """Sum up scored samples.

    Args:
        samples: The samples, at least one.
        scores: One a sample; NaN for none.
        scenario: What they were written in.
        parses: Of each, whether it is a program; None if nobody asked.

    Source:
        Korbak et al. 2023, sections 4.1 and 4.4; `expected_maximum` is its ``score_max@25``.
    """
    texts = [sample.text for sample in samples]
    known = [score for score in scores if not math.isnan(score)]
    found: dict[str, Interval | float] = {}
    if known:
        found = {
            "score": mean_interval(known, scenario.seed, shares=False),
            f"score_max@{GROUPS}": expected_maximum(known),
            "score_p95": float(np.quantile(known, 0.95)),
            "score_max": max(known),
            "hits": mean_interval([float(score > scenario.hit_threshold) for score in known]),
        }
    found |= {
        "failures": float(len(scores) - len(known)),
        "length": mean_interval([float(len(text)) for text in texts], scenario.seed, shares=False),
        "tokens": sum(sample.tokens for sample in samples) / len(samples),
        "ended": mean_interval([float(sample.ended) for sample in samples]),
        **{f"distinct_{n}": mean_distinct(texts, n) for n in (1, 2)},
        **{f"entropy_{n}": pooled_entropy(texts, n) for n in (1, 2)},
    }
    if len(texts) > 1:
        found["self_bleu_5"] = self_bleu(texts, 5, seed=scenario.seed)
    if parses is not None:
        found["compiles"] = mean_interval([float(good) for good in parses])
    return Preferences(scenario, tuple(samples), tuple(scores), found, 0 < len(known) < GROUPS)


def expected_maximum(scores: Sequence[float], k: int = GROUPS) -> float:
    """Return the mean over groups of k scores of the highest in each, dealt out in turn; of fewer than k, the highest.

    Args:
        scores: At least one. Scores that fill no group of k are left out.
        k: Size of a group.

    Source:
        Korbak et al. 2023's program, where fewer than k give NaN.
    """
    groups = len(scores) // k
    if groups == 0:
        return max(scores)
    mean = float(np.asarray(scores[: groups * k]).reshape(k, groups).max(0).mean())
    return min(mean, max(scores))  # a sum of equal numbers, divided again, can round upwards


def _json(value: Interval | float) -> Any:
    if isinstance(value, Interval):
        return {"mean": value.mean, "low": value.low, "high": value.high, "n": value.n}
    return value
