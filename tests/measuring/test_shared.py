"""Tokens read once before many rows: the model must not notice."""

import pytest
import torch

from obverse.measuring.generation import continuations
from obverse.measuring.likelihood import likelihoods_of
from obverse.measuring.shared import Before, common_start
from obverse.model.tokens import Encoded, Joined

START = (0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
ROWS = ((31, 32, 33), (41, 32, 43), (33, 31, 31))


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "mistral", "bloom", "falcon_alibi", "opt"])
def test_continuations_are_those_without_it(tiny_lm, family):
    lm = tiny_lm(family)
    draws = torch.rand(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = [[*START, *row] for row in ROWS]
    for top_k in (1, 0):
        expected = continuations(lm, whole, 6, top_k=top_k, draws=draws, keep_end=True)
        before = Before(lm, START)
        for shrink in (False, True):
            found = continuations(lm, ROWS, 6, top_k=top_k, draws=draws, keep_end=True, before=before, shrink=shrink)
            assert found == expected


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "falcon_alibi"])
def test_logprobs_are_those_without_it(tiny_lm, family):
    lm = tiny_lm(family)
    whole = [(*START, *row) for row in ROWS]
    joined = [
        Joined(Encoded("", ids, ((0, 0),) * len(ids)), range(len(ids) - many, len(ids)))
        for ids, many in zip(whole, (1, 2, 1), strict=True)
    ]
    expected = [one.total for one in likelihoods_of(lm, joined)]
    before = Before(lm, START)
    assert before.logprobs(ROWS, [1, 2, 1]) == pytest.approx(expected, abs=1e-4)
    assert before.logprobs(ROWS[:1], [1]) == pytest.approx(expected[:1], abs=1e-4)  # and what it keeps is not changed


def test_common_start_leaves_each_row_a_token():
    assert common_start([(1, 2, 3), (1, 2, 4)]) == 2
    assert common_start([(1, 2), (1, 2, 4)]) == 1
    assert common_start([(1, 2, 3)]) == 2
    assert common_start([(1, 2), (3, 2)]) == 0
