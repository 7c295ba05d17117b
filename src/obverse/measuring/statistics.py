"""Means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from obverse.core import Interval

Unit = TypeVar("Unit")

RESAMPLES = 2000

FLIPS = 10_000
"""Draws of a permutation test: no p-value is below one in so many."""

_AT_ONCE = 1_000_000
"""Observations drawn at a time; bounds the memory."""


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
    return mean_intervals([values], [shares], seed)[0]


def mean_intervals(columns: Sequence[Sequence[float]], shares: Sequence[bool], seed: int = 0) -> list[Interval]:
    """Return `mean_interval` of several columns at once; those of one length share their draws, which saves time.

    Args:
        columns: Observations, at least one in each.
        shares: Of each column, see `mean_interval`.
        seed: Seed of the bootstrap.
    """
    data = [np.asarray(column, dtype=np.float64) for column in columns]
    out: list[Interval | None] = [None] * len(data)
    drawn: dict[int, list[int]] = {}
    for i, (column, share) in enumerate(zip(data, shares, strict=True)):
        n, mean = len(column), float(column.mean())
        if n == 1:
            out[i] = Interval(mean, mean, mean, 1)
        elif share and bool(np.isin(column, (0.0, 1.0)).all()):
            out[i] = Interval(mean, *wilson(float(column.sum()), n), n)
        else:
            drawn.setdefault(n, []).append(i)
    for n, places in drawn.items():
        means = resampled_means(np.stack([data[i] for i in places], 1), seed)
        for i, low, high in zip(places, *np.quantile(means, (0.025, 0.975), axis=0), strict=True):
            out[i] = Interval(float(data[i].mean()), float(low), float(high), n)
    return [found for found in out if found is not None]


def resampled_means(rows: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Return the means of each column over rows drawn with replacement, `RESAMPLES` times.

    Args:
        rows: Observations, (n, columns), NaN where there is none; rows are drawn whole, so that ties of columns count.
        seed: Seed of the draws.

    Returns:
        (draws, columns); NaN where a draw has no observation of a column.
    """
    n, known = len(rows), ~np.isnan(rows)
    filled, weights = np.where(known, rows, 0.0), known.astype(np.float64)
    rng, out = np.random.default_rng(seed), list[NDArray[np.float64]]()
    step = max(1, _AT_ONCE // n)
    for start in range(0, RESAMPLES, step):
        many = min(step, RESAMPLES - start)
        places = rng.integers(n, size=(many, n)) + np.arange(many)[:, None] * n
        times = np.bincount(places.ravel(), minlength=many * n).reshape(many, n).astype(np.float64)
        with np.errstate(invalid="ignore"):
            out.append(times @ filled / (n if known.all() else times @ weights))
    return np.concatenate(out)


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

    @property
    def interval(self) -> Interval:
        """The difference with its interval."""
        return Interval(self.difference, self.low, self.high, self.n)


def paired_difference(first: Mapping[Unit, float], second: Mapping[Unit, float]) -> Interval:
    """Return the mean of the first minus the second over the units that both have, at least one, bootstrapped."""
    return mean_interval([first[unit] - second[unit] for unit in first if unit in second], shares=False)


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
    return paired_each([(first, second)], seed)[0]


def paired_each(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], seed: int = 0) -> list[Paired]:
    """Return `paired` of several pairs at once; those of one length share their draws, which saves time."""
    data = [np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64) for a, b in pairs]
    intervals = mean_intervals([row.tolist() for row in data], [False] * len(data), seed)
    ps = [1.0] * len(data)
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(data):
        if row.any():
            by_length.setdefault(len(row), []).append(i)
    for places in by_length.values():
        for i, p in zip(places, _permutation(np.stack([data[i] for i in places], 1), seed), strict=True):
            ps[i] = float(p)
    return [Paired(one.mean, one.low, one.high, p, one.n) for one, p in zip(intervals, ps, strict=True)]


def _permutation(differences: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the p-value of each column of differences, (pairs, columns)."""
    rng, far = np.random.default_rng(seed), np.zeros(differences.shape[1])
    bound = np.abs(differences.sum(0)) * (1 - 1e-9)
    step = max(1, _AT_ONCE // len(differences))
    for start in range(0, FLIPS, step):  # in parts, so that memory does not grow with the number of cases
        signs = rng.integers(2, size=(min(step, FLIPS - start), len(differences)), dtype=np.int8) * 2.0 - 1.0
        far += (np.abs(signs @ differences) >= bound).sum(0)
    return (far + 1) / (FLIPS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: the chance of any false alarm among them stays below 5 % at 0.05.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    out, above = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        above = max(above, min(1.0, (len(ps) - rank) * ps[i]))
        out[i] = above
    return out
