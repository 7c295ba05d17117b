"""Words and n-gram entropy against the original program."""

import math

import pytest
from tests.golden.conftest import golden

from obverse.measuring import entropy, ngram_entropy, words
from obverse.measuring.text import WEIGHTS

CASES = golden("ngram_entropy") or {}

pytestmark = pytest.mark.skipif(not CASES, reason="no golden folder (set OBVERSE_GOLDEN)")


def test_every_text():
    assert CASES["texts"]
    for text, tokens, by_n, each in zip(*(CASES[key] for key in ("texts", "tokens", "by_n", "each")), strict=True):
        assert words(text) == tokens
        assert [entropy(tokens, n) for n in (1, 2, 3)] == pytest.approx(by_n, abs=1e-9)
        assert ngram_entropy([text]) == pytest.approx(each, abs=1e-9)
    assert ngram_entropy(CASES["texts"]) == pytest.approx(sum(CASES["each"]) / len(CASES["each"]))


def test_the_geometric_mean_follows_from_the_parts():
    for tokens, expected in zip(CASES["tokens"], CASES.get("each_geom", [0] * len(CASES["tokens"])), strict=True):
        parts = [weight * entropy(tokens, n) for n, weight in WEIGHTS.items()]
        assert "each_geom" not in CASES or math.prod(parts) ** (1 / len(parts)) == pytest.approx(expected, abs=1e-9)


def test_sentences_split_first():
    case = CASES["multi_sentence"]
    tokens = [word for sentence in case["sentences"] for word in words(sentence)]
    assert tokens == case["flat_tokens"]
    weighted = [weight * entropy(tokens, n) for n, weight in WEIGHTS.items()]
    assert sum(weighted) / len(weighted) == pytest.approx(case["entropy"], abs=1e-9)
