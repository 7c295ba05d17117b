"""The likeliest of some answers: as if all were scored, in every batch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.measuring import choosing, likelihoods
from obverse.measuring.choosing import likeliest

PROMPTS = ("The Space Needle is in the city of", "The mother tongue of Anna Keller is", "Zürich is")
ANSWERS = ("Paris", "Berlin", "São Paulo", "the sport of chess", "French", "Japanese", "x", "Marie Curie", "東京")

SHORT = tuple(first + second for first in "abdkoqxz" for second in ("", *"aeiqxz"))
"""Answers of a token or two, of which the one that begins best is often not the best."""

questions = st.lists(
    st.tuples(st.sampled_from(PROMPTS), st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=9, unique=True)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(("family", "tokens"), [("llama", "bpe"), ("gemma3", "metaspace"), ("gpt2", "unigram")])
@settings(max_examples=8)
@given(asked=questions)
def test_the_choice_is_that_of_scoring_all(tiny_lm, family, tokens, asked):
    lm = tiny_lm(family, tokens)
    for (prompt, answers), choice in zip(asked, likeliest(lm, asked), strict=True):
        scored = dict(zip(answers, likelihoods(lm, [(prompt, answer) for answer in answers]), strict=True))
        best = max(scored.values(), key=lambda found: found.total).total
        assert scored[choice.answer].total == pytest.approx(best, abs=1e-4)
        assert choice.logprob == pytest.approx(best, abs=1e-4)
        assert choice.greedy is all(scored[choice.answer].correct)


def test_hopeless_answers_are_not_scored_to_their_end(tiny_lm, monkeypatch):
    lm = tiny_lm("llama")
    asked = [(prompt, ANSWERS) for prompt in PROMPTS]
    scored = []
    monkeypatch.setattr(choosing, "likelihoods", lambda lm, pairs: scored.extend(pairs) or likelihoods(lm, pairs))
    whole = likeliest(lm, asked)
    assert len(set(scored)) == len(scored) < len(PROMPTS) * len(ANSWERS)
    monkeypatch.setattr(choosing, "QUESTIONS_PER_BATCH", 1)
    assert [choice.answer for choice in likeliest(lm, asked)] == [choice.answer for choice in whole]


def test_the_best_beginning_need_not_be_the_best_answer(tiny_lm):
    lm, beaten = tiny_lm("llama"), 0
    for prompt, choice in zip(PROMPTS, likeliest(lm, [(prompt, SHORT) for prompt in PROMPTS]), strict=True):
        scored = dict(zip(SHORT, likelihoods(lm, [(prompt, answer) for answer in SHORT]), strict=True))
        assert choice.answer == max(SHORT, key=lambda answer, scored=scored: scored[answer].total)
        pairs = [answer for answer in SHORT if len(scored[answer].logprobs) > 1]
        assert len(pairs) > 20
        (found,) = likeliest(lm, [(prompt, pairs)])
        assert found.answer == max(pairs, key=lambda answer, scored=scored: scored[answer].total)
        beaten += found.answer != max(pairs, key=lambda answer, scored=scored: scored[answer].logprobs[0])
    assert beaten


def test_of_equal_answers_the_first_is_taken(tiny_lm):
    (choice,) = likeliest(tiny_lm("llama"), [(PROMPTS[0], ["Berlin", " Berlin"])])
    assert choice.answer == "Berlin"
    assert likeliest(tiny_lm("llama"), []) == []
