"""A training run as it goes: curves that grow, samples worst first, tables of a reproduction."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Run
from obverse.workbench.training_runs import (
    Curve,
    Sheet,
    has_tables,
    is_training,
    progress,
    sample_files,
    samples,
    tables,
)
from obverse.workbench.view_train import curve_chart, progress_page, samples_page, tables_page

NUMBERS = st.floats(-1e6, 1e6)


@pytest.fixture
def run(tmp_path):
    with Run.open(tmp_path / "run", {"training": {"max_steps": 40.0}}, about={"command": "train"}) as run:
        yield run


def test_curves_grow_with_the_run(run):
    assert is_training(run.folder)
    assert progress(run.folder).step == 0
    assert "Nothing was logged twice" in progress_page(progress(run.folder))
    for step in (10, 20):
        run.append({"id": f"train {step}", "step": step, "loss": 5.0 - step / 10, "epoch": 0.1})
    run.append({"id": "generation 20", "step": 20, "generation/default/score/mean": 0.25})
    found = progress(run.folder)
    assert (found.step, found.steps, found.finished) == (20, 40, False)
    assert found.curves == (Curve("loss", ((10, 4.0), (20, 3.0))),)
    assert found.numbers["generation/default/score/mean"] == 0.25
    html = progress_page(found)
    assert "Step 20 of 40, under way" in html
    assert "value=0.500" in html
    run.finish({"plan": {"steps": 20}})
    assert progress(run.folder).finished


@given(st.dictionaries(st.integers(0, 10**6), NUMBERS, min_size=1, max_size=20))
def test_a_curve_stays_within_its_frame_whatever_its_numbers(points):
    html = curve_chart(Curve("loss", tuple(sorted(points.items()))))
    places = html.split('points="')[1].split('"')[0].split()
    assert len(places) == len(points)
    assert all(0 <= float(number) <= 1000 for place in places for number in place.split(","))


def test_samples_are_shown_the_worst_first_and_as_text(run):
    folder = run.folder / "samples"
    folder.mkdir()
    rows = [{"prompt": "", "text": f"<b>{i}", "score": score} for i, score in enumerate((0.1, 0.9, None))]
    for step in (10, 20):
        (folder / f"default-{step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "other.txt").write_text("")
    assert [(one.scenario, one.step) for one in sample_files(run.folder)] == [("default", 20), ("default", 10)]
    found = samples(run.folder, "default", 20)
    assert [row["score"] for row in found] == [0.9, 0.1, None]
    html = samples_page(found)
    assert "&lt;b&gt;1" in html
    assert "Mean score 0.5 (n = 2)" in html
    assert samples(run.folder, "../run", 20) == []
    assert "No samples" in samples_page([])


def test_tables_and_verdicts_of_a_reproduction(tmp_path):
    assert not has_tables(tmp_path)
    verdict = {
        "claim": "claim1",
        "statement": "a < b",
        "outcome": "held",
        "found": {"mean": 1, "low": 0, "high": 2, "n": 3},
    }
    table = {"title": "Accuracy", "rows": [{"arm": "mle", "N2D": "99"}, {"arm": "bico", "D2N": "98"}], "note": "n"}
    (tmp_path / "summary.json").write_text(json.dumps({"verdicts": [verdict], "tables": [table]}))
    assert has_tables(tmp_path)
    sheets = tables(tmp_path)
    assert [one.title for one in sheets] == ["Verdicts", "Accuracy"]
    html = tables_page(sheets)
    assert "a &lt; b" in html
    assert "1 (0 to 2), n = 3" in html
    assert "bico" in html
    assert "No tables" in tables_page([Sheet("", ())])
