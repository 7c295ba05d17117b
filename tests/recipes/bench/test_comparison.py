"""Two runs held against each other."""

import json

import numpy as np
import pytest

from bench_folders import record, rome_case, write_rome, write_run, write_single
from obverse.core import DataError, UnknownName
from obverse.recipes.bench.comparison import compare_runs


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return write_single(folder, {"rome": (0.95, 0.8, 0.0), "ft": (0.6, 0.3, 0.3)}, 20, failing=("ft",))


def test_metrics_settings_and_cases(bench):
    found = compare_runs(bench / "rome", bench / "ft", limit=4)
    assert found.shared == 20
    assert found.only == (0, 0)
    assert found.settings == {"method": ("rome", "ft")}
    pair = found.metrics["efficacy_success"]
    first, second = found.means["efficacy_success"]
    assert pair.difference == pytest.approx(first - second)
    assert pair.n == 20
    assert len(found.cases) == 4
    top = found.cases[0]
    assert top.prompt == f"Fact {top.id} is"
    assert (top.target, top.target_true) == (f"new {top.id}", f"old {top.id}")
    assert all(a != b for a, b in top.values.values())
    assert json.loads(json.dumps(found.to_json()))["metrics"]["efficacy_success"]["label"] == "ES"


def test_the_other_way_round_is_the_opposite(bench):
    one, other = compare_runs(bench / "rome", bench / "ft"), compare_runs(bench / "ft", bench / "rome")
    for name, pair in one.metrics.items():
        assert other.metrics[name].difference == pytest.approx(-pair.difference)
        assert other.metrics[name].p == pair.p


def test_a_run_against_itself_differs_in_nothing(bench):
    found = compare_runs(bench, bench, "ft")
    assert found.cases == ()
    assert found.settings == {}
    assert {(pair.difference, pair.p) for pair in found.metrics.values()} == {(0, 1)}


def test_which_run_of_a_folder(bench):
    with pytest.raises(DataError, match="holds 2 runs of editors: unedited, ft, rome"):
        compare_runs(bench, bench)
    with pytest.raises(UnknownName, match="Unknown run 'memit'"):
        compare_runs(bench, bench, "memit")
    assert compare_runs(bench, bench, "rome", "unedited").metrics["efficacy_success"].difference > 0


def test_other_data_sets_are_refused_unless_forced(bench, tmp_path):
    rng = np.random.default_rng(0)
    same = write_run(tmp_path / "same", [record(rng, p, 0.5, 0.5) for p in range(5)], digest="d2")
    with pytest.raises(DataError, match=r"The data sets differ .*; 5 ids are in both"):
        compare_runs(bench / "rome", same)
    found = compare_runs(bench / "rome", same, force=True)
    assert (found.shared, found.only) == (5, (15, 0))
    assert "cases of one id" in found.notes[0]
    other = [record(rng, p, 0.5, 0.5, text="Not fact {} but") for p in range(5)]
    with pytest.raises(DataError, match="5 of 5 cases of one id are different facts"):
        compare_runs(bench / "rome", write_run(tmp_path / "other", other, digest="d3"))
    none = write_run(tmp_path / "none", [record(rng, 99, 0.5, 0.5)])
    with pytest.raises(DataError, match="no case in common"):
        compare_runs(bench / "rome", none)


def test_romes_program_against_ours(bench, tmp_path):
    theirs = write_rome(tmp_path / "ROME" / "run_000", *(rome_case(place) for place in (3, 4, 50)))
    found = compare_runs(theirs, bench / "rome")
    assert (found.shared, found.only) == (2, (1, 18))
    assert found.means["efficacy_success"][0] == 1
    assert "efficacy_generated" not in found.metrics  # which theirs does not have
    foreign = rome_case(3)
    foreign["requested_rewrite"]["target_new"]["str"] = "another"
    with pytest.raises(DataError, match="different facts"):
        compare_runs(write_rome(tmp_path / "x" / "run_000", foreign), bench / "rome")
