"""Traces that a recipe takes: which answer is followed, what is refused."""

import dataclasses
import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from families import tiny
from obverse.core import DataError, Fact, ObverseError, SubjectNotFound
from obverse.locating._tracer import Tracer
from obverse.locating.tracing import Reason, Skipped, check_finite, first_token
from obverse.measuring import top_tokens
from obverse.model.language_model import LanguageModel
from obverse.recipes.followed import KNOWN, Followed, share
from obverse.recipes.trace import trace
from obverse.recipes.traced import refusal

NEEDLE = Fact("Space Needle", "The {} is in the city of", "Paris")
QUICK = {"samples": 2, "window": 2, "noise": "0.5", "kinds": ("hidden",)}
SHARES = st.floats(0, 1)


@given(SHARES.filter(lambda p: p > 1e-12), st.sampled_from([1, -1]))
def test_a_share_is_never_shown_as_nothing(p, sign):
    shown = float(share(sign * p).removesuffix("%")) / 100
    assert shown == pytest.approx(sign * p, rel=0.06)


@given(SHARES, st.integers(1, 10**6), SHARES)
def test_an_answer_is_known_if_it_is_the_likeliest_or_likely(p, rank, own):
    one = Followed("Space Needle", " Space", p, rank, " a", own)
    assert one.known == (rank == 1 or p >= KNOWN)
    assert share(p) in str(one)
    assert ("the model's own likeliest is ' a'" in str(one)) == (rank > 1)
    assert "the first token of 'Space Needle'" in str(one)
    assert "first token" not in str(dataclasses.replace(one, answer="Space"))
    assert share(p) in one.caution


def test_following_the_models_own_answer_is_the_default(tiny_lm):
    lm = tiny_lm("llama")
    plain = trace(lm, Fact("Ann", "{} can be found in", "Paris"), **QUICK)
    assert plain.answer.startswith(" ")
    followed = trace(lm, plain.fact, follow_target=True, **QUICK)
    assert followed.answer_id == plain.answer_id
    torch.testing.assert_close(followed.restored["hidden"], plain.restored["hidden"], atol=0, rtol=0)


def test_an_answer_that_the_model_does_not_give_is_followed(tiny_lm):
    lm = tiny_lm("llama")
    likeliest, *others = top_tokens(lm, NEEDLE.text, 50)
    place = next(i for i, token in enumerate(others) if token.text.startswith(" ") and token.text.strip().isalpha())
    chosen, rank = others[place], place + 2
    fact = dataclasses.replace(NEEDLE, target=chosen.text.strip() + " of old", target_true="Rome")
    assert first_token(lm, fact) == chosen.id
    found = trace(lm, fact, follow_target=True, **QUICK)
    assert found.fact == fact
    assert found.answer == chosen.text
    assert found.clean == pytest.approx(chosen.probability, abs=1e-6)
    assert found.restored["hidden"][-1, -1] == pytest.approx(chosen.probability, abs=1e-6)
    beside = Followed.of(lm, found)
    assert (beside.answer, beside.token, beside.rank, beside.own) == (fact.target, chosen.text, rank, likeliest.text)
    assert beside.own_probability == pytest.approx(likeliest.probability)
    with pytest.raises(DataError, match="A prompt has no target to follow"):
        trace(lm, NEEDLE.text, "Space Needle", follow_target=True, **QUICK)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_that_overflows_is_one_error():
    lm = tiny("llama")
    assert lm.architecture.n_layers == 3  # read while all is well
    lm.model.half()
    for block in lm.model.model.layers:
        block.mlp.down_proj.weight.mul_(3e4)
        block.mlp.up_proj.weight.mul_(3e3)
    with pytest.raises(ObverseError, match=r"no numbers: tiny-llama overflows in float16\.\n.*--dtype float32"):
        trace(lm, NEEDLE, **QUICK)


@pytest.mark.parametrize(
    ("dtype", "hint"),
    [
        (torch.float16, "bfloat16 or float32"),
        (torch.bfloat16, "Load the model in float32"),
        (torch.float32, "far too large"),
    ],
)
def test_one_number_that_is_none_suffices(tiny_lm, monkeypatch, dtype, hint):
    lm = tiny_lm("llama")
    sound = trace(lm, NEEDLE, **QUICK)
    check_finite(sound, lm)
    table = sound.restored["hidden"].clone()
    table[3, 1] = math.inf
    monkeypatch.setattr(LanguageModel, "dtype", dtype)
    for spoiled in ({"clean": math.nan}, {"corrupted": math.nan}, {"restored": {"hidden": table}}):
        with pytest.raises(ObverseError, match=hint):
            check_finite(dataclasses.replace(sound, **spoiled), lm)


def test_what_comes_from_the_tracer_is_checked(tiny_lm, monkeypatch):
    lm = tiny_lm("llama")
    spoiled = dataclasses.replace(trace(lm, NEEDLE, **QUICK), clean=math.nan)
    monkeypatch.setattr(Tracer, "result", lambda *_: spoiled)
    with pytest.raises(ObverseError, match="no numbers"):
        trace(lm, NEEDLE, **QUICK)


@pytest.mark.parametrize("reason", get_args(Reason))
def test_each_reason_is_an_error_with_something_to_do(reason):
    error = refusal(Skipped(dataclasses.replace(NEEDLE, prompt="{} is " + "so " * 50), reason, "what was found"))
    assert f"... cannot be traced: {reason} (what was found)." in error.message.replace("'", "")
    assert len(error.message) < 160
    assert error.hint
    assert isinstance(error, SubjectNotFound) == (reason == "subject not found")
