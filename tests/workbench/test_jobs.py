"""One job at a time, in order, to be looked at and cancelled; nothing of one is left for the next."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ObverseError, Progress, track
from obverse.workbench.jobs import Cancelled, Worker


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["fine", "mistake", "bug"]), min_size=1, max_size=12))
def test_jobs_are_done_one_at_a_time_and_in_order_whatever_becomes_of_them(kinds):
    worker, under_way, done = Worker(), [], []

    def work(i, kind):
        under_way.append(i)
        assert under_way == [i]
        under_way.remove(i)
        done.append(i)
        if kind == "mistake":
            raise ObverseError("No.", "Else.")
        if kind == "bug":
            raise ZeroDivisionError
        return i

    jobs = [worker.submit(str(i), lambda _, i=i, kind=kind: work(i, kind)) for i, kind in enumerate(kinds)]
    expected = {"mistake": ObverseError, "bug": ZeroDivisionError}
    for i, (job, kind) in enumerate(zip(jobs, kinds, strict=True)):
        if kind == "fine":
            assert job.result() == i
        else:
            with pytest.raises(expected[kind]):
                job.result()
    assert done == list(range(len(kinds)))
    worker.close()


def test_a_job_tells_how_far_it_is(worker):
    seen, go_on = threading.Event(), threading.Event()

    def work(job):
        with Progress("outer"), Progress("", 4) as inner:
            inner.advance(1, "a note")
            job.show("first map")
            seen.set()
            go_on.wait(10)
        return "done"

    job = worker.submit("trace", work)
    seen.wait(10)
    beat = job.beat()
    assert (beat.label, beat.share, beat.note, beat.ahead, beat.shown) == ("outer", 0.25, "a note", 0, "first map")
    go_on.set()
    assert job.result() == "done"
    assert list(job.beats())[-1].share is None


def test_who_waits_is_told_how_many_come_first(worker):
    go_on = threading.Event()
    first = worker.submit("first", lambda _: go_on.wait(10))
    second, third = (worker.submit(name, lambda _: None) for name in ("second", "third"))
    assert [job.beat().ahead for job in (first, second, third)] == [0, 1, 2]
    go_on.set()
    third.result()
    assert third.beat().ahead == 0


def test_a_cancelled_job_ends_at_its_next_step_and_puts_everything_back(worker):
    began, undone = threading.Event(), threading.Event()

    def work(_):
        try:
            for _ in track(range(10**9), "forever"):
                began.set()
                time.sleep(0.001)
        finally:
            undone.set()

    job = worker.submit("long", work)
    began.wait(10)
    job.cancel()
    with pytest.raises(Cancelled):
        job.result()
    assert undone.is_set()
    assert worker.submit("next", lambda _: 1).result() == 1


def test_a_job_that_waits_can_be_cancelled_before_it_begins(worker):
    go_on, ran = threading.Event(), []
    worker.submit("first", lambda _: go_on.wait(10))
    second = worker.submit("second", lambda _: ran.append(1))
    second.cancel()
    go_on.set()
    with pytest.raises(Cancelled):
        second.result()
    assert ran == []


def test_closing_ends_what_is_under_way():
    worker, began = Worker(), threading.Event()

    def work(_):
        for _ in track(range(10**9), "forever"):
            began.set()
            time.sleep(0.001)

    job = worker.submit("long", work)
    began.wait(10)
    worker.close()
    assert job.done
