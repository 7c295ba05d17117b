"""Summaries of result folders against the original program."""

import json
import math
import re

import pytest
from tests.golden.conftest import golden

from obverse.verifying import read_rome_run, summarize_rome

GOLDEN = golden("summarize") or {"runs": {}}


def wanted(node, path=()):
    """Yield (run, number of cases or None, summary) for each summary in the file, whatever it is nested in."""
    for key, value in node.items():
        if not isinstance(value, dict) or (key == "runs" and not path):
            continue
        if "num_cases" in value:
            names = [part for part in (*path, key) if part in GOLDEN["runs"]] or [
                run for run in GOLDEN["runs"] for part in (*path, key) if part.startswith(run)
            ]
            first = re.search(r"first\D*(\d+)", " ".join((*path, key)))
            yield (names or list(GOLDEN["runs"]))[-1], int(first[1]) if first else None, value
        else:
            yield from wanted(value, (*path, key))


SUMMARIES = list(wanted(GOLDEN))


@pytest.mark.skipif(not SUMMARIES, reason="no golden folder (set OBVERSE_GOLDEN)")
@pytest.mark.parametrize("number", range(len(SUMMARIES)))
def test_summary(number, tmp_path):
    run, first, expected = SUMMARIES[number]
    for case in GOLDEN["runs"][run]:
        (tmp_path / f"case_{case['case_id']}.json").write_text(json.dumps(case))
    summary = summarize_rome(read_rome_run(tmp_path, first))
    assert summary.num_cases == expected["num_cases"]
    assert {*summary.metrics, "num_cases"} == set(expected) - {"run_dir"}
    for name, (mean, std) in summary.metrics.items():
        theirs = [math.nan if value is None else value for value in expected[name]]
        assert [mean, std] == pytest.approx(theirs, abs=1e-9, nan_ok=True), name
