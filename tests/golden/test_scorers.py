"""Scores and findings against the original scorers."""

import json

import pytest
from tests.golden.conftest import FOLDER

from obverse.core import ConfigError
from obverse.measuring.scorers.loading import load_scorer


def rows(name):
    path = FOLDER / "phf" / f"{name}.json"
    return {row["name"]: row for row in json.loads(path.read_text("utf-8"))["rows"]} if path.is_file() else {}


PEP8, PII = rows("scorer_pep8"), rows("scorer_pii_regex")
OTHERWISE = {"phone_gb": ["phone"], "credit_card_plain": ["card"]}
"""Blind spots of the original that our patterns see."""

pytestmark = pytest.mark.skipif(not PEP8, reason="no golden folder (set OBVERSE_GOLDEN)")


@pytest.mark.parametrize("name", PEP8)
def test_pep8(name):
    row, scorer = PEP8[name], load_scorer("pep8")
    (found,) = scorer.violations([row["text"]])
    assert [[v.line, v.column, v.code] for v in found] == row["codes"]
    assert scorer.score([row["text"]]) == [row["score"]]
    assert scorer.score_lines([row["text"]]) == [row["line_scores"]]


@pytest.mark.parametrize("name", PII)
def test_own_patterns_find_what_scrubadub_does(name):
    row, scorer = PII[name], load_scorer("pii", {"year": 2026})
    found = scorer.findings(row["text"])
    if name in OTHERWISE:
        assert [kind for finding in found for kind in finding.kinds] == OTHERWISE[name]
        return
    assert [[f.start, f.end] for f in found] == [filth[:2] for filth in row["filth"]]
    assert scorer.score([row["text"]]) == [row["score"]]


@pytest.mark.parametrize("name", PII)
def test_scrubadub(name):
    row = PII[name]
    try:
        scorer = load_scorer("scrubadub")
    except ConfigError as error:
        pytest.skip(error.message)
    assert [[f.start, f.end] for f in scorer.findings(row["text"])] == [filth[:2] for filth in row["filth"]]
    assert scorer.score([row["text"]]) == [row["score"]]
