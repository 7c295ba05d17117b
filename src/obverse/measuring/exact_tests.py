"""Exact intervals of shares, and the classical tests that the papers report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from obverse.core import Interval

_TINY = 1e-300
_STEPS = 1000


def clopper_pearson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return an exact interval of a share: its true coverage is never below the level.

    With means in place of successes and failures (a person is right on 3 of 4 wordings) ``successes`` is their sum. The
    interval is then wider than need be: of all values from 0 to 1 with one mean, 0 and 1 spread most.

    Args:
        successes: From 0 to ``n``.
        n: Observations, at least one.
        level: Coverage.

    Source:
        Clopper and Pearson 1934; the ends are quantiles of beta distributions.
    """
    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes >= n else beta_quantile(1 - tail, successes + 1, n - successes)
    return low, high


def share_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of values from 0 to 1, one an observation, with its `clopper_pearson` interval."""
    total = math.fsum(values)
    return Interval(total / len(values), *clopper_pearson(total, len(values), level), len(values))


def t_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's t-test of two samples with one variance.

    Args:
        first: Observations, at least two.
        second: Others, at least two.

    Returns:
        From 0 to 1; NaN if a sample is smaller. Of two constant samples 1 if they are equal, else 0.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(a), len(b)) < 2:
        return math.nan
    freedom = len(a) + len(b) - 2
    pooled = (a.var(ddof=1) * (len(a) - 1) + b.var(ddof=1) * (len(b) - 1)) / freedom
    difference, error = float(a.mean() - b.mean()), math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return student_tail(difference / error, freedom)


def paired_t_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's t-test that a mean is 0; NaN for fewer than two observations."""
    data = np.asarray(differences, np.float64)
    if len(data) < 2:
        return math.nan
    mean, error = float(data.mean()), float(data.std(ddof=1)) / math.sqrt(len(data))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return student_tail(mean / error, len(data) - 1)


def ks_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of the two-sided Kolmogorov-Smirnov test that two samples have one distribution.

    Exact where no values are tied, else an upper bound: the share of the orders in which the pooled observations
    can stand whose distribution functions are as far apart at some place. NaN if a sample is empty.

    Source:
        Hodges 1958, "The significance probability of the Smirnov two-sample test", section 2 (paths on a lattice).
    """
    a, b = np.sort(np.asarray(first, np.float64)), np.sort(np.asarray(second, np.float64))
    m, n = len(a), len(b)
    if not m or not n:
        return math.nan
    pooled = np.concatenate([a, b])
    # As whole numbers, so that equal distances are equal.
    far = int(np.abs(np.searchsorted(a, pooled, "right") * n - np.searchsorted(b, pooled, "right") * m).max())
    return _paths_beyond(m, n, far)


def _paths_beyond(m: int, n: int, far: int) -> float:
    """Return the share of lattice paths from (0, 0) to (m, n) that reach a point with abs(i n - j m) >= far."""
    # The chance to be at (i, j) without having reached one, when the next step is drawn among what is left.
    within = np.zeros(n + 1)
    for i in range(m + 1):
        for j in range(n + 1):
            if abs(i * n - j * m) >= far:
                within[j] = 0.0
            elif i == j == 0:
                within[j] = 1.0
            else:
                left = m + n - i - j + 1
                from_i = within[j] * (m - i + 1) / left if i else 0.0
                from_j = within[j - 1] * (n - j + 1) / left if j else 0.0
                within[j] = from_i + from_j
    return min(1.0, max(0.0, 1.0 - float(within[n])))


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that a t-distributed value is as far from 0 as t."""
    return beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5)


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the value below which a beta-distributed one stays with some probability; by bisection to 1e-15."""
    low, high = 0.0, 1.0
    while high - low > 1e-15:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if beta_cdf(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), for a and b above 0.

    Source:
        NIST Handbook of Mathematical Functions, 8.17.22 (continued fraction), by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges fast
        return 1.0 - beta_cdf(1 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log) / a / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return 1 + d1 / (1 + d2 / (1 + ...))."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        k = step // 2
        if step % 2:
            term = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        else:
            term = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        d = 1 / ((1 + term * d) or _TINY)
        c = (1 + term / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value
