"""Reading the result folders of ROME's program, with what it got wrong put right."""

import json
import math

import pytest

from obverse.core import DataError, UnknownName
from obverse.verifying import case_values, read_rome_run, rome_runs, summarize_rome


def nll(new, true):
    return {"target_new": new, "target_true": true}


def case(id, new=0.5, true=1.0, **post):
    return {
        "case_id": id, "time": 2.0,
        "post": {"rewrite_prompts_probs": [nll(new, true)], "paraphrase_prompts_probs": [nll(new, true), nll(2, 2)],
                 "neighborhood_prompts_probs": [nll(3, 1)], "attribute_prompts_probs": [nll(9, 1)], **post},
    }  # fmt: skip


def write(folder, *cases, name="case_{}.json"):
    folder.mkdir(parents=True, exist_ok=True)
    for entry in cases:
        (folder / name.format(entry["case_id"])).write_text(json.dumps(entry))
    return folder


def test_metrics_by_hand(tmp_path):
    summary = summarize_rome(read_rome_run(write(tmp_path, case(0), case(1, new=1.5))))
    assert summary.num_cases == 2
    assert summary.metrics["post_rewrite_success"] == (50, 50)
    assert summary.metrics["post_paraphrase_success"] == (25, 25)  # a tie fails
    assert summary.metrics["post_neighborhood_success"] == (100, 0)
    first, second = (math.exp(-new) - math.exp(-1) for new in (0.5, 1.5))
    assert summary.metrics["post_rewrite_diff"].mean == round(50 * (first + second), 2)
    assert summary.metrics["post_rewrite_diff"].std == round(50 * (first - second), 2)
    assert summary.metrics["post_score"].mean == round(300 / (2 + 4 + 1), 2)
    assert math.isnan(summary.metrics["post_score"].std)
    assert summary.metrics["time"] == (2, 0)
    assert not any("attribute" in name or name.startswith("pre") for name in summary.metrics)


def test_only_hundredfold_metrics_are_scaled():
    metrics = summarize_rome([case(0, ngram_entropy=6.2, reference_score=0.31, essence_score=12.3456)]).metrics
    means = [metrics[f"post_{name}"].mean for name in ("ngram_entropy", "reference_score", "essence_score")]
    assert means == [620, 31, 12.3456]


def test_a_case_without_prompts_of_a_kind_makes_the_mean_undefined_as_in_the_original():
    metrics = summarize_rome([case(0), case(1, neighborhood_prompts_probs=[])]).metrics
    assert math.isnan(metrics["post_neighborhood_success"].mean)
    assert math.isnan(metrics["post_score"].mean)
    assert metrics["post_rewrite_success"].mean == 100


def test_a_score_with_a_zero_in_it_is_zero():
    assert summarize_rome([case(0, new=1.5)]).metrics["post_score"].mean == 0


def test_cases_go_by_number_and_first_is_a_bound_on_ids(tmp_path):
    write(tmp_path, case(10), case(9), case(2))
    assert [entry["case_id"] for entry in read_rome_run(tmp_path)] == [2, 9, 10]
    assert [entry["case_id"] for entry in read_rome_run(tmp_path, 10)] == [2, 9]
    assert read_rome_run(tmp_path, 2) == []


def test_a_half_written_case_is_left_out_not_counted_twice(tmp_path, caplog):
    write(tmp_path, case(0), case(2, new=1.5))
    (tmp_path / "case_1.json").write_text('{"case_id": 1, "po')
    cases = read_rome_run(tmp_path)
    assert [entry["case_id"] for entry in cases] == [0, 2]
    assert case_values(cases)["post_rewrite_success"] == [1, 0]
    assert "case_1.json is left out" in caplog.text


def test_memits_files_are_read(tmp_path):
    write(tmp_path, case(3), case(4), name="2_edits-case_{}.json")
    (tmp_path / "params.json").write_text("{}")
    assert [entry["case_id"] for entry in read_rome_run(tmp_path)] == [3, 4]


def test_runs_go_by_their_whole_name(tmp_path):
    one, ten = (write(tmp_path / name, case(0)) for name in ("run_1", "run_10"))
    (tmp_path / "empty").mkdir()
    assert rome_runs(tmp_path) == [one, ten]
    assert rome_runs(tmp_path, ["run_1"]) == [one]
    assert rome_runs(ten) == [ten]
    with pytest.raises(UnknownName, match="Unknown run 'run_2'") as caught:
        rome_runs(tmp_path, ["run_2"])
    assert "run_1" in caught.value.hint


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(DataError, match=r"has no case_<id>\.json"):
        rome_runs(tmp_path)
    write(tmp_path / "run_000", case(0))
    with pytest.raises(UnknownName, match="folder 'run_00'") as caught:
        rome_runs(tmp_path / "run_00")
    assert "run_000" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [("[]", "no whole number"), ('{"case_id": "x"}', "no whole number"), ('{"case_id": 1, "post": [1]}', "malformed"),
     ('{"case_id": 1, "post": {"rewrite_prompts_probs": [{}]}}', "malformed")],
)  # fmt: skip
def test_a_malformed_case_is_named(tmp_path, content, message):
    (tmp_path / "case_1.json").write_text(content)
    with pytest.raises(DataError, match=message):
        summarize_rome(read_rome_run(tmp_path))
