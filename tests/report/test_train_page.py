"""The page of a training run: whole, small, and with the numbers of its log and summary."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checked_page import CheckedPage
from obverse.core import DataError, Interval
from obverse.recipes.train_report import read_trained, write_train_report
from obverse.report.step_curves import Curve, curve_chart, point, thinned
from obverse.report.train_page import TrainedRun, render_train, series
from train_logs import trained

BAD = "<script>alert('1')</script>"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 20))
def test_thinning_loses_no_extreme_and_no_end(values, most):
    points = {3 * step: point(value) for step, value in enumerate(values)}
    thin = thinned(points, most)
    assert len(thin) <= most
    assert max(thin) == max(points)
    assert min(one.low for one in thin.values()) == min(values)
    assert max(one.high for one in thin.values()) == max(values)
    for one in thin.values():
        spare = 1e-9 * (1 + abs(one.mean))  # a mean of equal numbers may be off by a digit
        assert one.low - spare <= one.mean <= one.high + spare
    if len(values) <= most:
        assert thin == points


@given(st.dictionaries(st.integers(0, 1000), st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_a_chart_stands_within_its_frame_whatever_the_values(values):
    drawn = curve_chart("x", "units", [Curve("x", {step: point(value) for step, value in values.items()})])
    [line] = re.findall(r'<polyline points="([^"]*)"', drawn)
    places = [float(number) for place in line.split() for number in place.split(",")]
    assert len(places) == 2 * len(values)
    assert all(-1 <= place <= 1001 for place in places)


def test_a_band_is_drawn_where_there_are_intervals_and_the_data_is_in_the_picture():
    drawn = curve_chart("score", "share", [Curve("a", {0: Interval(0.5, 0.4, 0.6, 9), 10: Interval(0.7, 0.6, 0.9, 9)})])
    assert drawn.count("<polygon") == 1
    assert "<desc>a: step 0: 0.5 (0.4 to 0.6), step 10: 0.7 (0.6 to 0.9)</desc>" in drawn
    assert "<polygon" not in curve_chart("loss", "", [Curve("a", {0: point(1.0), 1: point(2.0)})])


@pytest.fixture(scope="module")
def page():
    return render_train(trained(), settings={"seed": 7}, versions={"torch": "2"}, command="obverse train --task x")


def test_it_is_whole_and_fetches_nothing(page):
    checker = CheckedPage(page)
    assert not [value for name, value in checker.attributes if name in ("src", "href", "action")]
    assert not re.search(r"https?://|url\(|@import", page)
    assert "svg" in checker.tags
    assert "@media print" in page
    for shown in (
        "awr",
        "a-small-model",
        "Loss",
        "Value loss",
        "obverse train --task x",
        "60 steps of 8 rows",
        "30 texts",
    ):
        assert shown in page


def test_the_json_holds_the_summary_and_the_whole_log_and_the_page_shows_its_ends(page):
    run, checker = trained(), CheckedPage(page)
    told = json.loads(checker.json)
    assert told["summary"] == run.summary
    assert told["log"] == run.log
    assert told["log_every"] == 1
    for name in ("loss", "generation/free/score", "kl/nats"):
        found = series(run, name)
        assert {found[min(found)].mean, found[max(found)].mean} <= set(checker.values)


def test_intervals_are_those_of_the_log_over_as_many_texts_as_were_drawn():
    run = trained()
    found = series(run, "generation/free/score")
    assert set(found) == {0, 20, 40, 60}
    assert all(one.n == 30 and one.low < one.mean < one.high for one in found.values())
    assert {one.n for one in series(run, "kl/nats").values()} == {20}
    assert {one.n for one in series(run, "loss").values()} == {1}


def test_a_long_log_is_thinned_and_that_is_said():
    began = time.process_time()
    made = render_train(trained(steps=12_000, every=3000))
    assert time.process_time() - began < 8  # well under a second on an idle core
    assert len(made.encode()) < 2_000_000
    told = json.loads(CheckedPage(made).json)
    assert told["log_every"] > 1
    assert {entry["step"] for entry in told["log"] if "kl/nats" in entry} == set(range(0, 12_001, 3000))


def test_everything_is_escaped():
    made = render_train(trained(name=BAD, text=BAD), settings={BAD: BAD}, versions={BAD: BAD}, command=BAD)
    CheckedPage(made)
    assert "img" not in CheckedPage(made).tags


def test_without_measurements_there_are_no_empty_sections():
    run = trained()
    log = [entry for entry in run.log if "loss" in entry]
    made = render_train(TrainedRun(run.summary, log))
    CheckedPage(made)
    assert "prefers to say" not in made
    assert "Distance from" not in made
    assert "What it wrote" not in made


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finished training run"):
        write_train_report(tmp_path)


def test_samples_first_and_last_are_read(tmp_path):
    run = trained()
    (tmp_path / "run.json").write_text(json.dumps({"command": "train", **run.about}))
    (tmp_path / "summary.json").write_text(json.dumps(run.summary))
    (tmp_path / "records.00000.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in run.log))
    (tmp_path / "samples").mkdir()
    for step in (0, 20, 100):
        (tmp_path / "samples" / f"in-two-{step}.jsonl").write_text(
            json.dumps({"text": f"at {step}", "score": 1.0}) + "\n"
        )
    found = read_trained(tmp_path)
    assert found.log == run.log
    assert {step: rows[0]["text"] for step, rows in found.samples["in-two"].items()} == {0: "at 0", 100: "at 100"}
    assert "at 100" in write_train_report(tmp_path).read_text()
