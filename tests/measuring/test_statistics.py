"""Intervals: they hold the mean, shrink with n, and are honest at the ends."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Interval
from obverse.measuring import harmonic_mean, mean_interval, wilson
from obverse.measuring.statistics import paired, paired_difference


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
def test_interval_holds_the_mean(values):
    found = mean_interval(values)
    assert found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high
    assert found.n == len(values)


def test_one_value_has_no_width():
    assert (mean_interval([0.3]).low, mean_interval([0.3]).high) == (0.3, 0.3)


@given(st.integers(2, 500))
def test_all_right_is_not_certain(n):
    low, high = wilson(float(n), n)
    assert high == pytest.approx(1)
    assert 1 - 4 / n < low < 1


def test_interval_shrinks_with_n():
    few, many = mean_interval([0.0, 1.0] * 5), mean_interval([0.0, 1.0] * 500)
    assert many.high - many.low < few.high - few.low


def test_harmonic_mean():
    assert harmonic_mean([0.5, 0.5, 0.5]) == pytest.approx(0.5)
    assert harmonic_mean([1.0, 0.0]) == 0
    assert harmonic_mean([0.25, 1.0]) == pytest.approx(0.4)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=8))
def test_paired_p_is_that_of_all_sign_flips(differences):
    found = paired(differences, [0.0] * len(differences))
    moved = [abs(d) for d in differences if d]
    signs = product((-1, 1), repeat=len(moved))
    sums = [abs(sum(s * d for s, d in zip(each, moved, strict=True))) for each in signs]
    exact = sum(one >= abs(sum(differences)) - 1e-9 for one in sums) / len(sums)
    assert found.p == pytest.approx(exact, abs=0.025)  # 10,000 draws
    assert found.difference == pytest.approx(sum(differences) / len(differences))
    assert found.n == len(differences)


def test_paired_sees_what_unpaired_means_hide():
    first = [float(i % 2) for i in range(40)]
    second = [value - 0.1 for value in first]
    found = paired(first, second)
    assert found.difference == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)
    assert found.p < 0.001
    assert paired(first, first).p == 1


@given(
    st.dictionaries(st.integers(0, 9), st.floats(-9, 9), min_size=1),
    st.dictionaries(st.integers(10, 19), st.just(99.0)),
)
def test_differences_are_of_the_units_that_both_have(first, alone):
    found = paired_difference({**first, **alone}, {unit: value - unit for unit, value in first.items()})
    assert found.mean == pytest.approx(sum(first) / len(first), abs=1e-9)
    assert found.n == len(first)


def test_a_comparison_as_an_interval():
    found = paired([3.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    assert found.interval == Interval(found.difference, found.low, found.high, 3)
    assert found.interval.mean == pytest.approx(1)
