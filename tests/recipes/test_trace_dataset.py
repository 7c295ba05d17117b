"""A set of facts, traced and averaged: stopped anywhere it ends the same; what is recorded is there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import (
    ConfigError,
    DataError,
    ObverseError,
    Run,
    RunConflict,
    UnknownName,
    read_records,
    reporting,
)
from obverse.data.known import dataset
from obverse.locating.averages import Averages
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace
from obverse.locating.tracing import Skipped, TraceConfig, trace_all
from obverse.recipes import trace_dataset
from obverse.recipes.trace_dataset import DatasetRequest, case_file, run_dataset

CONFIG = TraceConfig(kinds=("hidden", "mlp"), window=2, samples=2)
FACTS = [
    {"id": "one", "subject": "Space Needle", "prompt": "The {} is in the city of", "target": "Seattle"},
    {"id": "two", "subject": "Big Ben", "prompt": "{} is in", "target": "London"},
    {"id": "../3", "subject": "Louvre", "prompt": "People who like art go to the {}", "target": "in"},
    {"id": "Four", "subject": "Ann", "prompt": "{} sings", "target": "a"},
    {"id": "five", "subject": "Zorbl the Great", "prompt": "A song of {} is", "target": "b"},
    {"id": "six", "subject": "Rome", "prompt": "{} lies in the country of", "target": "Italy"},
]


@pytest.fixture
def lm(tiny_lm, monkeypatch):
    model = tiny_lm("llama")
    monkeypatch.setattr(trace_dataset, "load_model", lambda _: model)
    return model


@pytest.fixture
def request_(tmp_path, lm):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(FACTS))
    return DatasetRequest(str(path), tmp_path / "run", config=CONFIG, expect=False, figures=False)


def ids_of(folder):
    return [record["id"] for record in read_records(folder)]


def means(averages):
    return averages.to_frame()[["mean", "low", "high", "n"]].to_numpy()


def test_a_set_gives_the_averages_of_its_traces(request_, lm):
    result = run_dataset(request_)
    facts = [case.fact for case in dataset(request_.dataset)]
    noise = noise_for(lm, "s3", [fact.subject for fact in facts])
    direct = Averages.of(trace_all(lm, facts, CONFIG, noise=noise))
    assert means(result.averages) == pytest.approx(means(direct), abs=1e-5)
    assert (result.traced, result.skipped, result.resumed, result.notes) == (6, {}, 0, ())
    assert ids_of(request_.out) == [fact["id"] for fact in FACTS]
    first = next(read_records(request_.out))
    saved = CausalTrace.load(request_.out / "cases" / "one.safetensors", lm)
    expected = {"clean": saved.clean, "corrupted": saved.corrupted, "answer": saved.answer}
    assert first == {"id": "one", "status": "traced", **expected}
    assert json.loads((request_.out / "averages.json").read_text()) == json.loads(json.dumps(result.averages.to_json()))
    assert (request_.out / "report.html").read_text("utf-8").startswith("<!doctype html>")
    summary = json.loads((request_.out / "summary.json").read_text())
    assert summary["traced"] == summary["total_effect"]["n"] == 6
    assert json.loads(json.dumps(result.to_json()))["traced"] == 6


def test_a_run_stopped_after_any_record_ends_the_same(request_, monkeypatch):
    uninterrupted = run_dataset(replace(request_, out=request_.out.with_name("other")))
    append, left = Run.append, [0]

    def append_until(run, record):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        append(run, record)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "append", append_until)
        for stop in (1, 3, 1, 0):  # records added before each stop: 5 of 6 in the end
            left[0] = stop
            with pytest.raises(KeyboardInterrupt):
                run_dataset(request_)
            assert not left[0]
    result = run_dataset(request_)
    assert result.resumed == 5
    assert sorted(ids_of(request_.out)) == sorted(fact["id"] for fact in FACTS)
    assert means(result.averages) == pytest.approx(means(uninterrupted.averages), abs=1e-5)


def test_a_run_may_be_widened_and_asked_for_a_part(request_):
    part = run_dataset(replace(request_, limit=2))
    assert part.traced == part.averages.n == 2
    widened = run_dataset(replace(request_, limit=5))
    assert (widened.traced, widened.resumed) == (5, 2)
    one = run_dataset(replace(request_, ids=["six", "Four"], limit=1))  # in the order of the set
    assert (one.traced, one.resumed, one.averages.n) == (1, 1, 1)
    again = run_dataset(replace(request_, limit=2))
    assert again.resumed == 2
    assert means(again.averages) == pytest.approx(means(part.averages), abs=0)


def test_sigma_is_that_of_the_whole_set_and_measured_once(request_, monkeypatch):
    asked = []

    def measured(lm, rule, subjects):
        asked.append((rule, list(subjects)))
        return noise_for(lm, rule, subjects)

    monkeypatch.setattr(trace_dataset, "noise_for", measured)
    run_dataset(replace(request_, limit=5))
    run_dataset(replace(request_, limit=5))  # nothing is left to do
    assert asked == [("s3", [fact["subject"] for fact in FACTS])]


def test_what_is_skipped_is_recorded_and_counted(request_, monkeypatch):
    reasons = {"Ann": "another answer", "Rome": "another answer", "Big Ben": "subject not found"}

    def some(lm, facts, config, *, expect, **options):
        assert expect
        found = trace_all(lm, facts, config, **options)
        both = zip(facts, found, strict=True)
        return [Skipped(f, reasons[f.subject], "why") if f.subject in reasons else one for f, one in both]

    monkeypatch.setattr(trace_dataset, "trace_all", some)
    for resumed in (0, 6):
        result = run_dataset(replace(request_, expect=True))
        assert (result.traced, result.averages.n, result.resumed) == (3, 3, resumed)
        assert list(result.skipped.items()) == [("another answer", 2), ("subject not found", 1)]
    record = list(read_records(request_.out))[1]
    assert record == {"id": "two", "status": "skipped", "reason": "subject not found", "detail": "why"}
    assert json.loads((request_.out / "summary.json").read_text())["skipped"] == result.skipped


def test_where_nothing_is_traced_the_reasons_are_the_error(request_):
    for _ in range(2):
        with pytest.raises(ObverseError, match=r"None of the 6 facts was traced \(another answer: 6\)"):
            run_dataset(replace(request_, expect=True))
    assert len(ids_of(request_.out)) == 6
    assert not (request_.out / "summary.json").exists()


def test_other_settings_are_a_conflict_unless_the_run_is_replaced(request_):
    run_dataset(replace(request_, limit=1))
    more = CONFIG.model_copy(update={"samples": 3, "memory": 1.0})
    with pytest.raises(RunConflict, match=r"trace.samples: 3 given, 2 stored") as caught:
        run_dataset(replace(request_, config=more))
    assert "memory" not in caught.value.message
    assert run_dataset(replace(request_, config=CONFIG.model_copy(update={"memory": 1.0}), limit=1)).resumed == 1
    assert run_dataset(replace(request_, config=more, limit=2, overwrite=True)).resumed == 0


def test_other_facts_or_another_model_are_a_conflict(request_, tiny_lm, monkeypatch):
    run_dataset(replace(request_, limit=1))
    path = Path(request_.dataset)
    path.write_text(json.dumps([{**FACTS[0], "target": "Tacoma"}, *FACTS[1:]]))
    with pytest.raises(RunConflict, match="facts: "):
        run_dataset(request_)
    path.write_text(json.dumps(FACTS))
    monkeypatch.setattr(trace_dataset, "load_model", lambda _: tiny_lm("gpt2"))
    with pytest.raises(RunConflict, match=r"model\.weights: "):
        run_dataset(request_)


@pytest.mark.parametrize("damage", ["absent", "half", "other model"])
def test_a_trace_that_is_gone_is_named(request_, lm, damage):
    run_dataset(replace(request_, limit=2))
    place = case_file(request_.out, "two")
    if damage == "absent":
        place.unlink()
    elif damage == "half":
        place.write_bytes(place.read_bytes()[:-5])
    else:
        trace = CausalTrace.load(place)
        replace(trace, fingerprint=replace(trace.fingerprint, weights="0" * 64)).save(place)
    with pytest.raises(DataError, match=r"two|made on") as caught:
        run_dataset(replace(request_, limit=2))
    assert "line of 'two'" in caught.value.hint
    records = request_.out / "records.00000.jsonl"
    records.write_text(records.read_text().splitlines(keepends=True)[0])  # what the hint says
    assert run_dataset(replace(request_, limit=2)).resumed == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dataset": "knows"}, UnknownName, "Unknown data set"),
        ({"ids": ["tow", "nine"]}, UnknownName, r"no fact with the id 'tow', 'nine'.\nDid you mean two"),
        ({"ids": ["%"]}, UnknownName, r"no fact with the id '%'.\nIts 6 ids are like one, two, \.\./3"),
        ({"ids": []}, ConfigError, "list of ids is empty"),
        ({"limit": 0}, ConfigError, "at least one fact"),
        ({"config": TraceConfig(noise="q")}, ConfigError, "Unknown noise rule"),
    ],
)
def test_mistakes_are_found_before_the_model_is_loaded(request_, monkeypatch, change, error, message):
    monkeypatch.setattr(trace_dataset, "load_model", None)
    with pytest.raises(error, match=message):
        run_dataset(replace(request_, **change))
    assert not request_.out.exists()


def test_figures_are_drawn_or_their_absence_is_said(request_, monkeypatch):
    pytest.importorskip("matplotlib")
    asked = replace(request_, figures=True, limit=2)
    with monkeypatch.context() as patch:
        patch.setattr(trace_dataset, "can_draw", lambda: False)
        assert "pip install 'obverse[plot]'" in run_dataset(asked).notes[0]
    assert not list(request_.out.glob("average_*"))
    assert run_dataset(asked).notes == ()
    names = [f"average_{what}.{ending}" for what in ("lines", "maps") for ending in ("pdf", "png", "svg")]
    assert sorted(path.name for path in request_.out.glob("average_*")) == names


def test_progress_counts_facts(request_):
    class Recorder:
        def __init__(self):
            self.bars, self.notes, self.done = [], [], 0

        def start(self, label, total):
            self.bars.append((label, total))
            return len(self.bars) - 1

        def advance(self, handle, amount, note):
            if self.bars[handle][0] == "Tracing 6 facts":
                self.done, self.notes = self.done + amount, [*self.notes, note]

        def finish(self, handle):
            pass

    recorder = Recorder()
    with reporting(recorder):
        run_dataset(request_)
    assert ("Tracing 6 facts", 6) in recorder.bars
    texts = {case.fact.text for case in dataset(request_.dataset)}
    assert texts <= {label for label, _ in recorder.bars}  # a CPU is busy with one fact
    assert recorder.done == 6
    assert recorder.notes[-1] == "6 traced, 0 skipped"


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_names_of_cases_are_different_and_stay_in_their_folder(tmp_path_factory, ids):
    folder = tmp_path_factory.getbasetemp()
    one, other = (case_file(folder, id) for id in ids)
    assert one.name.casefold() != other.name.casefold()  # also where capitals do not count
    assert one.resolve().parent == (folder / "cases").resolve()
    assert len(one.name.encode()) < 250


def test_plain_ids_name_their_files(tmp_path):
    assert case_file(tmp_path, "1208") == tmp_path / "cases" / "1208.safetensors"
