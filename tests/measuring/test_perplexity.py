"""Perplexity, and the essence score made of it."""

import math

import pytest

from obverse.core import DataError
from obverse.measuring import essence, likelihoods, perplexity
from obverse.model.tokens import encode

TEXT = "Megan Rapinoe plays the sport of soccer. Angela Merkel was born in Berlin."


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_it_is_the_likelihood_of_the_tokens_after_the_first(family, tiny_lm):
    lm = tiny_lm(family)
    ids = encode(lm.tokenizer, TEXT)
    first = ids.offsets[0][1]
    (found,) = likelihoods(lm, [(TEXT[:first], TEXT[first:])])
    assert len(found.logprobs) == len(ids.ids) - 1
    assert perplexity(lm, TEXT) == pytest.approx(math.exp(-found.mean), rel=1e-4)


def test_per_token_and_limit(tiny_lm):
    lm = tiny_lm("gpt2")
    n = len(encode(lm.tokenizer, TEXT).ids)
    assert perplexity(lm, TEXT, per_token=True) == pytest.approx(perplexity(lm, TEXT) ** ((n - 1) / n))
    assert perplexity(lm, TEXT, n) == perplexity(lm, TEXT) != perplexity(lm, TEXT, n - 1)
    cut = lm.decode(encode(lm.tokenizer, TEXT).ids[:5])
    assert perplexity(lm, TEXT, 5) == pytest.approx(perplexity(lm, cut))


def test_essence_joins_and_cuts(tiny_lm):
    lm = tiny_lm("gpt2")
    joined = " ".join([TEXT, TEXT])
    assert essence(lm, [TEXT, TEXT]) == perplexity(lm, joined, 100, per_token=True)
    long = " ".join([TEXT] * 9)
    assert len(encode(lm.tokenizer, long).ids) > 100
    assert essence(lm, [TEXT] * 9) == essence(lm, [long + " and more"])


@pytest.mark.parametrize("text", ["", "a"])
def test_nothing_to_predict(text, tiny_lm):
    with pytest.raises(DataError, match="needs two at least"):
        perplexity(tiny_lm("gpt2"), text)
    with pytest.raises(DataError, match="needs two at least"):
        essence(tiny_lm("gpt2"), [])
