"""Likelihoods: equal to one row at a time by the definition, whatever the order and the batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import DENSE, tiny
from obverse.measuring import continuations, greedy, likelihoods, top_tokens
from obverse.measuring import likelihood as module
from obverse.model.tokens import join

PAIRS = [
    ("The Space Needle is in the city of", "Seattle"),
    ("Anna Keller plays", "tennis and chess"),
    ("Rome", "is the capital of Italy, they say"),
    ("The Space Needle is in the city of", "Paris"),
]


def by_definition(lm, prompt, answer):
    joined = join(lm.tokenizer, prompt, answer)
    with torch.no_grad():
        logprobs = lm.model(torch.tensor([joined.encoded.ids])).logits[0].log_softmax(-1)
    return [float(logprobs[i - 1, joined.encoded.ids[i]]) for i in joined.target]


@pytest.mark.parametrize("family", DENSE)
def test_equals_one_row_at_a_time(family, tiny_lm):
    lm = tiny_lm(family)
    for (prompt, answer), found in zip(PAIRS, likelihoods(lm, PAIRS), strict=True):
        assert list(found.logprobs) == pytest.approx(by_definition(lm, prompt, answer), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(len(PAIRS))), tokens=st.sampled_from([1, 20, 10_000]))
def test_order_and_batch_change_nothing(order, tokens):
    lm = tiny("llama")
    expected = likelihoods(lm, PAIRS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOKENS_PER_BATCH", tokens)
        found = likelihoods(lm, [PAIRS[i] for i in order])
    for i, result in zip(order, found, strict=True):
        assert list(result.logprobs) == pytest.approx(list(expected[i].logprobs), abs=1e-5)
        assert result.rank == expected[i].rank


def test_rank_and_correct_agree_with_the_top_tokens(tiny_lm):
    lm = tiny_lm("llama")
    prompt = "The Space Needle is in the city of"
    top = top_tokens(lm, prompt, 3)
    assert [t.probability for t in top] == sorted((t.probability for t in top), reverse=True)
    assert sum(t.probability for t in top_tokens(lm, prompt, 10**6)) == pytest.approx(1, abs=1e-4)
    (found,) = likelihoods(lm, [(prompt, "Seattle")])
    assert (found.rank == 1) == found.correct[0]


def test_nothing_asked_is_nothing_answered(tiny_lm):
    assert likelihoods(tiny_lm("llama"), []) == []


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "bloom", "falcon_alibi", "opt"])
def test_batched_continuation_equals_one_row_without_cache(family, tiny_lm):
    lm = tiny_lm(family)
    rows = [list(lm.tokenizer(text)["input_ids"]) for text in ("The Space Needle is", "Rome", "Anna Keller plays the")]
    found = continuations(lm, rows, 5)
    for row, new in zip(rows, found, strict=True):
        ids = list(row)
        for token in new:
            with torch.no_grad():
                logits = lm.model(torch.tensor([ids])).logits[0, -1]
            assert float(logits.max() - logits[token]) < 1e-4
            ids.append(token)


def test_sampling_is_seeded_and_needs_a_generator(tiny_lm):
    lm = tiny_lm("llama")
    rows = [[5, 6, 7]] * 4
    draw = lambda seed: continuations(lm, rows, 8, top_k=20, generator=torch.Generator().manual_seed(seed))  # noqa: E731
    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    with pytest.raises(ValueError, match="generator"):
        continuations(lm, rows, 2, top_k=5)


def test_banned_tokens_never_come(tiny_lm):
    lm = tiny_lm("llama")
    (free,) = continuations(lm, [[5, 6, 7]], 6)
    (held,) = continuations(lm, [[5, 6, 7]], 6, banned=free)
    assert not set(free) & set(held)


def test_greedy_gives_the_new_text_only(tiny_lm):
    lm = tiny_lm("llama")
    prompts = [f"Number {i} is" for i in range(5)]
    assert greedy(lm, prompts, 4, batch=2) == [greedy(lm, [p], 4)[0] for p in prompts]
