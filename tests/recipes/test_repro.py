"""Verdicts and intervals on made-up numbers, and jobs in processes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError, Interval
from obverse.recipes.repro import Verdict, difference_interval, ratio_interval, spread, t_interval

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=40)


def double(number: int) -> int:
    if number < 0:
        raise DataError("A negative number.", "Give another.")
    return 2 * number


@given(VALUES, st.floats(-10, 10))
def test_an_interval_moves_with_its_values(values: list[float], by: float) -> None:
    found, moved = t_interval(values), t_interval([value + by for value in values])
    assert found.low <= found.mean <= found.high
    assert moved.low == pytest.approx(found.low + by, abs=1e-6)


def test_students_interval_of_five_seeds() -> None:
    found = t_interval([1, 2, 3, 4, 5])  # standard error sqrt(2.5 / 5), quantile 2.776
    assert (found.mean, found.n) == (3, 5)
    assert found.high - found.mean == pytest.approx(2.776 * math.sqrt(0.5))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=10), st.floats(0.01, 1))
def test_a_ratio_turned_round_is_its_inverse(values: list[float], floor: float) -> None:
    other = values[::-1]
    there, back = ratio_interval(values, other, floor), ratio_interval(other, values, floor)
    assert there.mean * back.mean == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)


def test_differences_are_paired() -> None:
    found = difference_interval([1.0, 11.0, 21.0], [0.0, 10.0, 20.0])
    assert (found.low, found.mean, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("low", "high", "above", "outcome"),
    [
        (4, 9, True, "held"), (1, 9, True, "open"), (1, 2, True, "did not hold"), (1, 3, True, "did not hold"),
        (1, 2, False, "held"), (1, 9, False, "open"), (4, 9, False, "did not hold"), (3, 9, False, "did not hold"),
    ],
)  # fmt: skip
def test_a_verdict_can_come_out_each_way(low: float, high: float, above: bool, outcome: str) -> None:
    verdict = Verdict("claim1", "it is", Interval((low + high) / 2, low, high, 5), 3.0, above)
    assert verdict.outcome == outcome
    assert verdict.to_json()["outcome"] == outcome


def test_jobs_in_this_process() -> None:
    assert list(spread([1, 2, 3], double, 1, "")) == [(1, 2), (2, 4), (3, 6)]
    with pytest.raises(DataError):
        list(spread([1, -1], double, 1, ""))


@pytest.mark.slow
def test_jobs_in_processes() -> None:
    assert sorted(spread([1, 2, 3], abs, 2, "")) == [(1, 1), (2, 2), (3, 3)]
