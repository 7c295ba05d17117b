"""Means with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obverse.core import Interval

RESAMPLES = 2000

FLIPS = 10_000
"""Draws of a permutation test: no p-value is below one in so many."""


def wilson(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share; honest where all or none of few succeed."""
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float], seed: int = 0, *, shares: bool = True) -> Interval:
    """Return the mean of observations with a 95 % interval.

    Args:
        values: Observations, at least one. If all are 0 or 1 the interval is Wilson's, else a percentile bootstrap's.
        seed: Seed of the bootstrap.
        shares: Whether values 0 and 1 are failures and successes; a rank of 1, for one, is not.
    """
    data = np.asarray(values, dtype=np.float64)
    n, mean = len(data), float(data.mean())
    if n == 1:
        return Interval(mean, mean, mean, 1)
    if shares and bool(np.isin(data, (0.0, 1.0)).all()):
        return Interval(mean, *wilson(float(data.sum()), n), n)
    drawn = np.random.default_rng(seed).choice(data, (RESAMPLES, n)).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(mean, float(low), float(high), n)


def harmonic_mean(values: Sequence[float]) -> float:
    """Return the harmonic mean; 0 if one of them is 0 (ROME's score S)."""
    return 0.0 if min(values) <= 0 else len(values) / sum(1 / value for value in values)


@dataclass(frozen=True, slots=True)
class Paired:
    """How far one method is above another on the same cases.

    Attributes:
        difference: Mean of the differences.
        low: Lower end of its 95 % interval (bootstrap over cases).
        high: Upper end.
        p: Two-sided p-value of a sign-flip permutation test; 1 where all pairs are equal.
        n: Pairs.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int


def paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Paired:
    """Compare two methods case by case.

    Args:
        first: A value a case, at least one.
        second: The other method's, of the same cases in the same order.
        seed: Seed of bootstrap and permutations.

    Returns:
        The first's mean minus the second's. The test asks how often random signs of the differences give a mean as far
        from 0; equal pairs say nothing either way.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    interval = mean_interval(differences.tolist(), seed, shares=False)
    moved = differences[differences != 0]
    if not len(moved):
        return Paired(interval.mean, interval.low, interval.high, 1.0, len(differences))
    rng = np.random.default_rng(seed)
    # In parts, so that memory does not grow with the number of cases.
    sums = np.concatenate([
        rng.choice((-1.0, 1.0), (FLIPS // 10, len(moved))) @ np.abs(moved) for _ in range(10)
    ])  # fmt: skip
    far = int((np.abs(sums) >= abs(moved.sum()) * (1 - 1e-9)).sum())
    return Paired(interval.mean, interval.low, interval.high, (far + 1) / (FLIPS + 1), len(differences))
