"""The report's table over ROME's own folders against what its program prints."""

import json
import math

import pytest
from tests.golden.test_summarize import GOLDEN, SUMMARIES

from obverse.recipes.bench.report import read_report
from obverse.recipes.bench.rome_folders import rome_printed

PRINTED = {
    "rewrite_success": "efficacy_success", "paraphrase_diff": "generalization_magnitude",
    "neighborhood_success": "specificity_success", "neighborhood_acc": "specificity_token_accuracy",
    "ngram_entropy": "ngram_entropy", "essence_score": "essence",
}  # fmt: skip


@pytest.mark.skipif(not SUMMARIES, reason="no golden folder (set OBVERSE_GOLDEN)")
@pytest.mark.parametrize("run", sorted(GOLDEN["runs"]))
def test_the_table_shows_what_their_program_prints(run, tmp_path):
    expected = next(found for name, first, found in SUMMARIES if name == run and first is None)
    folder = tmp_path / "results" / run
    folder.mkdir(parents=True)
    for case in GOLDEN["runs"][run]:
        (folder / f"case_{case['case_id']}.json").write_text(json.dumps(case))
    printed = rome_printed(folder)
    checked = 0
    for when in ("pre", "post"):
        for theirs, ours in PRINTED.items():
            if f"{when}_{theirs}" in expected:
                assert printed[when][ours] == pytest.approx(expected[f"{when}_{theirs}"], abs=1e-9)
                checked += 1
    assert checked >= 2
    report, _ = read_report([folder])
    row = report.rows[-1]
    assert row.n == expected["num_cases"]
    score = "score" if "score" in row.metrics else "accuracy_score"
    assert 100 * row.metrics[score].mean == pytest.approx(expected["post_score"][0], abs=0.005)
    assert row.printed[score][0] == expected["post_score"][0]
    assert math.isnan(row.printed[score][1])
