"""Many columns at once give what each gives alone; corrected p-values keep their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.measuring.statistics import (
    RESAMPLES,
    holm,
    mean_interval,
    mean_intervals,
    paired,
    paired_each,
    resampled_means,
)  # fmt: skip

COLUMNS = st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=12), min_size=1, max_size=5)


@given(COLUMNS)
def test_columns_together_are_columns_alone(columns):
    together = mean_intervals(columns, [True] * len(columns))
    for column, found in zip(columns, together, strict=True):
        alone = mean_interval(column)
        assert found.n == alone.n == len(column)
        assert [found.mean, found.low, found.high] == pytest.approx([alone.mean, alone.low, alone.high], abs=1e-12)


def test_the_bootstrap_is_that_of_the_textbook():
    values = np.random.default_rng(1).random(40)
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, 40)).mean(1)
    found = mean_interval(values.tolist())
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, (0.025, 0.975)))


def test_what_is_missing_is_left_out_of_each_draw():
    rows = np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, 2.0], [np.nan, 2.0]])
    means = resampled_means(rows)
    assert np.allclose(means[:, 1], 2)
    known = means[~np.isnan(means[:, 0]), 0]
    assert 1 <= known.min() < known.max() <= 3
    assert 0 < len(known) < RESAMPLES  # 1 draw in 16 has neither of the two


def test_draws_in_parts_are_draws_at_once(monkeypatch):
    values = np.random.default_rng(1).random((30, 2))
    whole = resampled_means(values)
    monkeypatch.setattr("obverse.measuring.statistics._AT_ONCE", 7 * 30)
    assert np.allclose(resampled_means(values), whole, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=12))
def test_pairs_together_are_pairs_alone(pairs):
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    one, other = paired_each([(first, second), (second, first)])
    assert one == paired(first, second)
    assert one.p == other.p
    assert one.difference == pytest.approx(-other.difference)
    assert one.p == 1 or first != second


def test_an_exact_permutation_test():
    found = paired([1.0] * 6, [0.0] * 6)
    assert found.p == pytest.approx(2 / 64, abs=0.006)  # all signs equal: 2 of 64
    assert paired([1.0, 0.0], [1.0, 0.0]).p == 1


@given(st.lists(st.floats(0.0001, 1), max_size=10))
def test_holm_keeps_the_order_and_never_lowers(ps):
    found = holm(ps)
    assert all(p <= corrected <= 1 for p, corrected in zip(ps, found, strict=True))
    assert [found[i] for i in np.argsort(ps, kind="stable")] == sorted(found)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
