"""What was measured on each trained model, and how the numbers of several seeds come together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from obverse.core import Interval
from obverse.recipes.repro import difference_interval, ratio_interval, t_interval
from obverse.recipes.repro_phf_plan import Trial

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Samples:
    """What a model said, scored.

    Attributes:
        hits: Findings of each sample.
        characters: Length of each sample.
    """

    hits: tuple[int, ...]
    characters: tuple[int, ...]

    @property
    def score(self) -> float:
        """Findings in 1000 characters; higher is worse."""
        return 1000 * sum(self.hits) / max(1, sum(self.characters))

    @property
    def bad(self) -> float:
        """Share of samples with a finding."""
        return sum(hit > 0 for hit in self.hits) / len(self.hits)

    @property
    def floor(self) -> float:
        """What half a finding in all samples would score."""
        return 500 / max(1, sum(self.characters))

    def resampled(self, rng: np.random.Generator) -> np.ndarray:
        """Return scores of samples drawn with replacement, (draws,)."""
        n = len(self.hits)
        rows = rng.integers(n, size=(RESAMPLES, n))
        hits, characters = np.asarray(self.hits)[rows].sum(1), np.asarray(self.characters)[rows].sum(1)
        return 1000 * hits / np.maximum(1, characters)


@dataclass(frozen=True, slots=True)
class Measured:
    """A trained model's numbers.

    Attributes:
        trial: Which model.
        samples: What it says unprompted, given the aligned control token where it has one.
        misaligned: What it says given the misaligned control token; None where it has none.
        loss: Nats a token of clean held-out text, control tokens never given.
        loss_given: The same with the aligned token given before each sentence, which tells for free that nothing
            personal follows; equal to ``loss`` where there is none.
        loss_charged: The same with the tokens' own cost added: what it takes to say the text, tokens included. This is
            the number that can be compared with another method's ``loss``.
        kl: Nats a token by which the reference diverges from it; None without a reference.
        seconds: Time of training.
    """

    trial: Trial
    samples: Samples
    misaligned: Samples | None
    loss: float
    loss_given: float
    loss_charged: float
    kl: float | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, with an ``id``."""
        return {"id": self.trial.id, **asdict(self)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Measured:
        """Read what `to_json` returned."""
        rest = {name: value for name, value in record.items() if name not in ("id", "trial", "samples", "misaligned")}
        misaligned = record["misaligned"]
        return cls(
            Trial(**record["trial"]),
            _samples(record["samples"]),
            _samples(misaligned) if misaligned is not None else None,
            **rest,
        )


def _samples(read: Mapping[str, Sequence[int]]) -> Samples:
    return Samples(tuple(read["hits"]), tuple(read["characters"]))


class Results:
    """The numbers of all models, by what they were trained on."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        self._by_place: dict[tuple[str, float, float], list[Measured]] = {}
        for one in sorted(measured, key=lambda one: one.trial.seed):
            key = (one.trial.arm, one.trial.dirty, one.trial.flips)
            self._by_place.setdefault(key, []).append(one)

    def of(self, arm: str, dirty: float, flips: float = 0.0) -> list[Measured]:
        """Return the models of an arm, by seed; none if it was not trained there."""
        return self._by_place.get((arm, dirty, flips), [])

    def paired(self, first: Sequence[Measured], second: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
        """Return the models of two arms that have a seed in common."""
        by_seed = {one.trial.seed: one for one in second}
        return [(one, by_seed[one.trial.seed]) for one in first if one.trial.seed in by_seed]


def score(models: Sequence[Measured]) -> Interval:
    """Return the misalignment score of an arm with its 95 % interval over seeds and samples; of one seed over samples.

    Never below 0.
    """
    if len(models) == 1:
        return _over_draws(models[0].samples.score, models[0].samples.resampled(np.random.default_rng(0)))
    found = t_interval([one.samples.score for one in models])
    return Interval(found.mean, max(0.0, found.low), found.high, found.n)


def bad(models: Sequence[Measured]) -> Interval:
    """Return the share of samples with a finding, with its 95 % interval over seeds; 0 to 1."""
    found = t_interval([one.samples.bad for one in models])
    return Interval(found.mean, max(0.0, found.low), min(1.0, found.high), found.n)


def mean_of(models: Sequence[Measured], value: Callable[[Measured], float]) -> Interval:
    """Return any other number's mean with its 95 % interval over seeds."""
    return t_interval([value(one) for one in models])


def score_ratio(pairs: Sequence[tuple[Samples, Samples]]) -> Interval:
    """Return how many times one score is another, with the 95 % interval over seeds; of one seed over samples.

    Args:
        pairs: Two models' samples a seed. Where there is nothing to count, half a finding stands for it.
    """
    floor = max(sample.floor for pair in pairs for sample in pair)
    if len(pairs) > 1:
        return ratio_interval([a.score for a, _ in pairs], [b.score for _, b in pairs], floor)
    (a, b), rng = pairs[0], np.random.default_rng(0)
    draws = (a.resampled(rng) + floor) / (b.resampled(rng) + floor)
    return _over_draws((a.score + floor) / (b.score + floor), draws)


def loss_difference(
    pairs: Sequence[tuple[Measured, Measured]], value: Callable[[Measured], float] = lambda one: one.loss_charged
) -> Interval:
    """Return the first's clean-text loss minus the second's, nats a token, with its 95 % interval over seeds."""
    return difference_interval([value(a) for a, _ in pairs], [value(b) for _, b in pairs])


def _over_draws(value: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(value, float(low), float(high), 1)
