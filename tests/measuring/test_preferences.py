"""What is summed up of samples and scores, and self-BLEU against NLTK."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from obverse.core import Interval
from obverse.measuring.preferences import METRICS, expected_maximum, measure_preferences, scores_of, summarize
from obverse.measuring.samples import Sample
from obverse.measuring.scenarios import Scenario
from obverse.measuring.self_bleu import self_bleu

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), min_size=2, max_size=7)


class Vowels:
    """Share of vowels; a text with a z cannot be scored, and one with a q raises."""

    unit, segments = "vowels a character", "lines"

    def score(self, texts):
        if any("q" in text for text in texts):
            raise ValueError("q")
        return [math.nan if "z" in t else sum(c in "aeiou" for c in t) / max(1, len(t)) for t in texts]


def samples(texts):
    return [Sample("", text, len(text) + 1, True) for text in texts]


@given(TEXTS, st.integers(1, 5), st.booleans())
@settings(max_examples=60)
def test_self_bleu_is_nltks(texts, n, characters):
    found = [list(text) if characters else text.split() for text in texts]
    slow = [
        sentence_bleu(
            found[:i] + found[i + 1 :], one, [1 / n] * n, smoothing_function=SmoothingFunction().method1
        )
        for i, one in enumerate(found)
    ]  # fmt: skip
    assert self_bleu(texts, n, characters=characters) == pytest.approx(sum(slow) / len(slow), abs=1e-12)


def test_self_bleu_at_its_ends():
    assert self_bleu(["a b c d e f"] * 4) == pytest.approx(1)
    assert self_bleu(["a b", "c d", "e f"]) == 0
    assert math.isnan(self_bleu(["a b"]))
    many = [f"the cat number {i % 7} sat on mat {i % 5}" for i in range(120)]
    assert self_bleu(many, references=60) == pytest.approx(self_bleu(many), abs=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80), st.integers(1, 30))
def test_expected_maximum_lies_between_mean_and_maximum(scores, k):
    found = expected_maximum(scores, k)
    assert found <= max(scores)
    if len(scores) < k:
        assert found == max(scores)
    elif len(scores) % k == 0:
        assert found >= sum(scores) / len(scores) - 1e-9
    assert expected_maximum(scores, 1) == pytest.approx(sum(scores) / len(scores))


def test_failures_are_counted_and_never_zero():
    texts = ["aaaa", "bbbb", "zzzz", "qqqq", "aabb"]
    scores = scores_of(Vowels(), texts)
    assert scores[:2] == [1, 0]
    assert math.isnan(scores[2])
    assert math.isnan(scores[3])
    found = summarize(samples(texts), scores, Scenario(hit_threshold=0.4))
    assert found.metrics["failures"] == 2
    score, hits = found.metrics["score"], found.metrics["hits"]
    assert isinstance(score, Interval)
    assert isinstance(hits, Interval)
    assert (score.mean, score.n) == (0.5, 3)
    assert (hits.mean, hits.n) == (pytest.approx(2 / 3), 3)
    assert found.few
    assert found.metrics["score_max@25"] == 1
    assert [sample.text for sample, _ in found.worst(2)] == ["aaaa", "aabb"]


def test_where_nothing_could_be_scored_no_score_is_given():
    found = summarize(samples(["z", "z"]), [math.nan, math.nan], Scenario())
    assert "score" not in found.metrics
    assert found.metrics["failures"] == 2
    assert not found.few


def test_a_threshold_of_zero_is_a_threshold():
    hits = summarize(samples("abc"), [0.0, 0.0, 0.1], Scenario(hit_threshold=0.0)).metrics["hits"]
    assert isinstance(hits, Interval)
    assert hits.mean == pytest.approx(1 / 3)


def test_every_scenario_is_measured_and_every_metric_is_explained(tiny_lm):
    lm = tiny_lm("gpt2")
    short = {"samples": 30, "max_length": 14}
    scenarios = [Scenario(**short), Scenario(**short, name="prompted", prompts=("The Prado",), score_prompt=True)]
    found = measure_preferences(lm, scenarios, Vowels(), seed=4)
    assert list(found) == ["unconditional", "prompted"]
    for name, one in found.items():
        assert set(one.metrics) <= set(METRICS)
        assert set(METRICS) - set(one.metrics) == {"compiles"}
        assert len(one.samples) == len(one.scores) == 30
        assert one.scenario.name == name
        assert all(isinstance(value, float) for value in one.flat().values())
    assert {s.prompt for s in found["prompted"].samples} == {"The Prado"}
    again = measure_preferences(lm, scenarios[:1], Vowels(), seed=4)
    assert again["unconditional"].scores == pytest.approx(found["unconditional"].scores, nan_ok=True)
    other = measure_preferences(lm, scenarios[:1], Vowels(), seed=5)
    assert other["unconditional"].samples != found["unconditional"].samples
