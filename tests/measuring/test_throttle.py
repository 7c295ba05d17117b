"""The pace: no minute has more than is allowed, and nothing waits needlessly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError
from obverse.measuring.throttle import MINUTE, Throttle


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 6), st.integers(1, 60))
def test_no_minute_has_too_many(sizes, requests, tokens):
    clock = Clock()
    throttle, sent = Throttle(requests, tokens, clock=clock, sleep=clock.sleep), list[tuple[float, int]]()
    for size in sizes:
        throttle.wait(size)
        sent.append((clock.now, size))
    for begin, size in sent:
        minute = [other for when, other in sent if begin <= when < begin + MINUTE]
        assert len(minute) <= requests
        assert sum(minute) <= max(tokens, size) or len(minute) == 1


def test_it_waits_no_longer_than_it_must():
    clock = Clock()
    throttle = Throttle(2, 100, clock=clock, sleep=clock.sleep)
    throttle.wait(500)  # more than a minute's tokens: alone, but at once
    assert clock.now == 0
    throttle.wait(10)
    assert clock.now == MINUTE
    throttle.wait(10)
    assert clock.now == MINUTE
    throttle.wait(10)
    assert clock.now == 2 * MINUTE
    free = Throttle(clock=clock, sleep=clock.sleep)
    for _ in range(1000):
        free.wait(10**9)
    assert clock.now == 2 * MINUTE


@pytest.mark.parametrize("limits", [(0, None), (None, 0)])
def test_a_limit_of_none(limits):
    with pytest.raises(ConfigError, match="a minute are none"):
        Throttle(*limits)
