"""From what edits came to at each layer: the table, the best layer, and how well a causal trace foretold it.

The unit is the fact: a fact's probes of one kind make one share, means and intervals go over facts, and layers are
compared on the same resampled facts (paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from obverse.core import KINDS, Interval
from obverse.editing.profile import Prediction, Scores
from obverse.measuring import harmonic_mean, mean_interval

RESAMPLES = 2000

Shares = NDArray[np.float64]
"""Success by fact and kind of probe, in the order of `KINDS`; NaN where a fact has no probe of a kind."""


def draws(facts: int, seed: int = 0) -> NDArray[np.int64]:
    """Return resampled facts, (resamples, facts), for every comparison of a sweep."""
    return np.random.default_rng(seed).integers(facts, size=(RESAMPLES, facts))


def score(shares: Shares) -> NDArray[np.float64]:
    """Return S, the harmonic mean of ES, PS and NS, over the last but one axis (facts)."""
    means = shares[..., :3].mean(-2)
    return np.where(means.min(-1) > 0, 3 / (1 / np.maximum(means, 1e-12)).sum(-1), 0.0)


def scores(shares: Shares, drawn: NDArray[np.int64]) -> Scores:
    """Return means over facts with 95 % intervals.

    The interval of S is a bootstrap over facts; where every resample gives the same, as after a perfect score, it goes
    from the harmonic mean of the three intervals' lower ends to that of the upper ones.
    """
    by_kind: list[Interval | None] = []
    for column in shares.T:
        values = column[~np.isnan(column)]
        by_kind.append(mean_interval(values.tolist()) if len(values) else None)
    judged = [interval for interval in by_kind[:3] if interval is not None]
    low, high = _ends(score(shares[drawn]))
    if low == high and len(shares) > 1:
        low = harmonic_mean([interval.low for interval in judged])
        high = harmonic_mean([interval.high for interval in judged])
    total = Interval(float(score(shares)), low, high, len(shares))
    return Scores(total, *judged, reverse=by_kind[KINDS.index("reverse")])


def best_layer(by_layer: Mapping[int, float]) -> int:
    """Return the layer with the highest S; of equals, the middle of the longest run of neighbours.

    The middle, because its neighbours are as good: a score that is chance at one layer has no such company.
    """
    layers = sorted(by_layer)
    top = max(by_layer.values()) - 1e-9
    runs = [list(group) for is_top, group in groupby(layers, lambda layer: by_layer[layer] >= top) if is_top]
    longest = max(runs, key=len)
    return longest[(len(longest) - 1) // 2]


def alike(shares: Mapping[int, Shares], best: int, drawn: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the layers whose S the facts cannot tell from the best one's: the 95 % interval of the loss holds 0."""
    if drawn.shape[1] == 1:
        return tuple(sorted(shares))  # one fact tells nothing
    return tuple(layer for layer in sorted(shares) if loss(shares, best, layer, drawn).low <= 0)


def loss(shares: Mapping[int, Shares], best: int, layer: int, drawn: NDArray[np.int64]) -> Interval:
    """Return S at the best layer less S at another one, with a paired bootstrap over facts."""
    at_best, there = shares[best], shares[layer]
    low, high = _ends(score(at_best[drawn]) - score(there[drawn]))
    return Interval(float(score(at_best) - score(there)), low, high, len(there))


def predict(
    kind: str,
    effects: Mapping[int, Sequence[float | None]],
    shares: Mapping[int, Shares],
    best: int,
    drawn: NDArray[np.int64],
) -> Prediction | None:
    """Say how well indirect effects foretold S by layer.

    Args:
        kind: What was restored.
        effects: Layer → indirect effect at the last subject token, one a fact; None where the fact was not traced.
        shares: Layer → success by fact and kind.
        best: The best layer.
        drawn: From `draws`.

    Returns:
        None if no fact was traced.
    """
    layers = sorted(shares)
    table = np.array([effects[layer] for layer in layers], dtype=np.float64)  # layer fact
    if np.isnan(table).all():
        return None
    traced = ~np.isnan(table[0])
    means = {layer: mean_interval(row[traced].tolist(), shares=False) for layer, row in zip(layers, table, strict=True)}
    counts = traced[drawn].sum(-1, keepdims=True)
    curves = np.nan_to_num(table).T[drawn].sum(1) / np.maximum(counts, 1)  # resample layer
    goals = np.stack([score(shares[layer][drawn]) for layer in layers], -1)
    rho = float(spearman(table[:, traced].mean(1), np.array([score(shares[layer]) for layer in layers])))
    resampled = spearman(curves, goals)[counts[:, 0] > 0]
    resampled = resampled[~np.isnan(resampled)]
    correlation = None if np.isnan(rho) or not len(resampled) else Interval(rho, *_ends(resampled), len(layers))
    choice = max(layers, key=lambda layer: means[layer].mean)
    return Prediction(kind, means, correlation, choice, loss(shares, best, choice, drawn))


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Spearman's rank correlation over the last axis; NaN where one side is the same everywhere."""
    one, other = (_ranks(values) for values in (first, second))
    one, other = (ranks - ranks.mean(-1, keepdims=True) for ranks in (one, other))
    size = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    return np.where(size > 0, (one * other).sum(-1) / np.where(size > 0, size, 1.0), np.nan)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks over the last axis, equal values sharing their mean rank."""
    column, row = values[..., :, None], values[..., None, :]
    return (column > row).sum(-1) + ((column == row).sum(-1) + 1) / 2


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
