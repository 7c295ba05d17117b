import pytest

from obverse.core import Progress, reporting, track


class Recorder:
    def __init__(self):
        self.events = []

    def start(self, label, total):
        self.events.append(("start", label, total))
        return 7

    def advance(self, handle, amount, note):
        self.events.append(("advance", handle, amount, note))

    def finish(self, handle):
        self.events.append(("finish", handle))


def test_track_yields_the_items_and_is_silent():
    assert list(track([1, 2, 3], "work")) == [1, 2, 3]


def test_track_reports_each_item_after_it_is_done():
    recorder = Recorder()
    with reporting(recorder):
        assert list(track("ab", "letters")) == ["a", "b"]
    step = ("advance", 7, 1, "")
    assert recorder.events == [("start", "letters", 2), step, step, ("finish", 7)]


def test_the_total_of_a_stream_is_unknown_unless_given():
    recorder = Recorder()
    with reporting(recorder):
        list(track(iter("ab"), "a"))
        list(track(iter("ab"), "b", total=2))
    assert [event[1:] for event in recorder.events if event[0] == "start"] == [("a", None), ("b", 2)]


def test_work_that_fails_is_finished():
    recorder = Recorder()
    with reporting(recorder), pytest.raises(KeyError), Progress("work") as progress:
        progress.advance(2, "half")
        raise KeyError
    assert recorder.events == [("start", "work", None), ("advance", 7, 2, "half"), ("finish", 7)]


def test_nothing_is_reported_after_the_block():
    recorder = Recorder()
    with reporting(recorder):
        pass
    list(track([1], "work"))
    assert recorder.events == []
