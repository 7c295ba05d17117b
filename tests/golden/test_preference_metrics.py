"""Metrics of generated texts against the original program's."""

import json

import pytest
from tests.golden.conftest import FOLDER

from obverse.measuring.preferences import expected_maximum, summarize
from obverse.measuring.samples import Sample
from obverse.measuring.scenarios import Scenario
from obverse.measuring.self_bleu import self_bleu

PATH = FOLDER / "phf" / "metrics.json"

pytestmark = pytest.mark.skipif(not PATH.is_file(), reason="no golden folder (set OBVERSE_GOLDEN)")


@pytest.fixture(scope="module")
def case():
    return json.loads(PATH.read_text("utf-8"))


def test_texts(case):
    expected, texts = case["results"], case["texts"]
    samples = [Sample("", text, 1, True) for text in texts]
    found = summarize(samples, [0.0] * len(texts), Scenario()).flat()
    assert found["length"] == pytest.approx(expected["Length"]["length"], abs=1e-12)
    for n in (1, 2):
        stats = expected[f"NGramStats_{n}"]
        assert found[f"distinct_{n}"] == pytest.approx(stats[f"distinct-{n}-grams"], abs=1e-12)
        assert found[f"entropy_{n}"] == pytest.approx(stats[f"entropy-{n}-grams"], abs=1e-12)


@pytest.mark.parametrize("n", [2, 5])
def test_self_bleu_of_characters(case, n):
    expected = case["results"][f"SelfBLEU_{n}"][f"Self-BLEU-{n}"]
    assert self_bleu(case["texts"], n, characters=True) == pytest.approx(expected, abs=1e-12)


def test_scores(case):
    expected, scores = case["results"], case["scores"]
    for k in (1, 10, 25):
        assert expected_maximum(scores, k) == pytest.approx(expected[f"max_at_{k}"], abs=1e-12)
    samples = [Sample("", "", 1, True)] * len(scores)
    found = summarize(samples, scores, Scenario(hit_threshold=0.1)).flat()
    assert found["hits"] == pytest.approx(expected["num_hits_0.1"], abs=1e-12)
    assert found["score"] == pytest.approx(expected["score_mean"], abs=1e-12)
    assert found["score_max"] == expected["score_max"]
    assert found["score_max@25"] == pytest.approx(expected["max_at_25"], abs=1e-12)
