"""Intervals and tests against scipy's."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from obverse.measuring.exact_tests import clopper_pearson, ks_test, paired_t_test, share_interval, t_test

numbers = st.floats(-5, 5).map(lambda x: round(x, 2))
samples = st.lists(numbers, min_size=2, max_size=25)


@given(st.integers(1, 200), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=40)
def test_clopper_pearson(n, data, level):
    k = data.draw(st.integers(0, n))
    expected = stats.binomtest(k, n).proportion_ci(level, "exact")
    assert clopper_pearson(float(k), n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_none_of_48_and_of_80_persons():
    assert clopper_pearson(0.0, 48) == (0, pytest.approx(0.074, abs=5e-4))
    assert clopper_pearson(0.0, 80) == (0, pytest.approx(0.045, abs=5e-4))
    assert clopper_pearson(7.0, 7)[1] == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_interval_of_shares_holds_their_mean(values):
    found = share_interval(values)
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1
    assert found.high - found.low > 0
    assert found.n == len(values)


@given(samples, samples)
@settings(max_examples=60)
def test_t(a, b):
    if len(set(a)) > 1 or len(set(b)) > 1:
        assert t_test(a, b) == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=1e-9)
    if len(set(a)) > 1:
        assert paired_t_test(a) == pytest.approx(stats.ttest_1samp(a, 0).pvalue, abs=1e-9)


def slow_ks(a, b):
    """By the definition: the share of all ways to take a's places among the pooled ones that are as far apart."""
    pooled = sorted([*a, *b])
    untied = range(len(pooled))

    def far(first, second, at):
        return max(abs(sum(x <= y for x in first) * len(b) - sum(x <= y for x in second) * len(a)) for y in at)

    seen = far(a, b, pooled)
    ways = [far(one, [i for i in untied if i not in one], untied) for one in combinations(untied, len(a))]
    return sum(way >= seen for way in ways) / len(ways)


@given(st.lists(numbers, min_size=1, max_size=5), st.lists(numbers, min_size=1, max_size=5))
@settings(max_examples=40)
def test_ks(a, b):
    assert ks_test(a, b) == pytest.approx(slow_ks(a, b), abs=1e-12)


def test_ks_of_many():
    rng = np.random.default_rng(0)
    for m, n, shift in ((30, 29, 0.3), (80, 60, 0.6), (10, 90, 0.0)):
        a, b = rng.normal(size=m).tolist(), (rng.normal(size=n) + shift).tolist()
        assert ks_test(a, b) == pytest.approx(stats.ks_2samp(a, b, method="exact").pvalue, rel=1e-9)


def test_where_there_is_nothing_to_test():
    assert math.isnan(t_test([1.0], [1.0, 2.0]))
    assert math.isnan(paired_t_test([1.0]))
    assert math.isnan(ks_test([], [1.0]))
    assert (t_test([1.0, 1.0], [1.0, 1.0]), t_test([1.0, 1.0], [2.0, 2.0])) == (1, 0)
    assert (paired_t_test([0.0, 0.0]), paired_t_test([2.0, 2.0])) == (1, 0)
