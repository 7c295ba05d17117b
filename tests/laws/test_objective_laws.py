"""Objectives that must agree: each of PHF's is next-token prediction where its scores make no difference."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.data.scored import ScoredText
from obverse.training import objectives
from obverse.training.example import IGNORED
from obverse.training.objectives.unlikelihood import log_complement

FEW = settings(max_examples=20)


def _objective(name, **settings):
    kind = objectives.load(name)
    return kind(kind.config_type(**settings))


@st.composite
def batches(draw, lowest=0.0, highest=2.0):
    """Return a function that makes an output and a batch anew; some labels are ignored, weights differ."""
    seed, rows, length = draw(st.integers(0, 2**31)), draw(st.integers(1, 3)), draw(st.integers(2, 7))
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 9, (rows, length))
    labels[numbers.random((rows, length)) < 0.2] = IGNORED
    arrays = {
        "token_scores": numbers.uniform(lowest, highest, (rows, length)),
        "token_weights": numbers.uniform(0, 2, (rows, length)),
    }
    logits, values = numbers.normal(0, 3, (rows, length, 9)), numbers.uniform(-2, 1, (rows, length))

    def make():
        batch = {"labels": torch.from_numpy(labels), **{key: torch.from_numpy(v) for key, v in arrays.items()}}
        return SimpleNamespace(
            logits=torch.from_numpy(logits).requires_grad_(), token_values=torch.from_numpy(values).requires_grad_()
        ), batch

    return make


def _same(one, other, make):
    """Assert that two objectives have one loss and one gradient."""
    results = []
    for objective in (one, other):
        output, batch = make()
        found = objective.loss(output, batch)
        found.total.backward()
        results.append((found.total.detach(), found.count, output.logits.grad))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


MLE = _objective("mle")


@FEW
@given(batches())
def test_unlikelihood_without_a_bad_token_is_mle(make):
    _same(_objective("unlikelihood", threshold=2.0), MLE, make)


@FEW
@given(batches(highest=0.0))
def test_soft_unlikelihood_of_scores_of_zero_is_mle(make):
    _same(_objective("unlikelihood", soft=True), MLE, make)


@FEW
@given(batches(lowest=0.7, highest=0.7), st.floats(0.01, 10))
def test_awr_with_constant_weight_is_mle(make, beta):
    _same(_objective("awr", alpha=1, beta=beta, fixed_value=-0.7), MLE, make)


@FEW
@given(batches(highest=0.0), st.floats(0.01, 10))
def test_rwr_without_misaligned_text_is_mle(make, beta):
    _same(_objective("rwr", beta=beta), MLE, make)


@FEW
@given(batches(), st.floats(0.2, 10), st.floats(0.1, 10))
def test_rwr_is_awr_with_alpha_one_and_no_head(make, beta, scale):
    awr = _objective("awr", alpha=1, beta=beta, reward_scale=scale, value_head=None)
    _same(_objective("rwr", beta=beta, reward_scale=scale), awr, make)


@FEW
@given(batches(), st.floats(0.2, 10))
def test_published_rwr_is_awr_whose_value_is_minus_one_half(make, beta):
    awr = _objective("awr", alpha=1, beta=beta, fixed_value=-0.5)
    _same(_objective("rwr", beta=beta, published=True), awr, make)


@FEW
@given(batches(), st.floats(0.2, 3))
def test_only_beta_times_the_scale_counts(make, beta):
    _same(
        _objective("rwr", beta=beta, reward_scale=2.0), _objective("rwr", beta=2 * beta, reward_scale="published"), make
    )


@FEW
@given(batches())
def test_the_weight_of_awr_has_no_gradient(make):
    output, batch = make()
    _objective("awr", alpha=1).loss(output, batch).total.backward()
    assert not output.token_values.grad.any()


@st.composite
def documents(draw):
    """A document of a few segments."""
    segments = draw(st.lists(st.text(min_size=1), max_size=5))
    return ScoredText(tuple(segments), tuple(draw(st.floats(0, 1)) for _ in segments))


@FEW
@given(documents())
def test_filtering_at_infinity_is_mle(document):
    assert list(_objective("filtering", threshold=math.inf).documents(document, np.random.default_rng(0))) == [document]


@FEW
@given(documents(), st.integers(0, 99))
def test_conditional_that_drops_every_token_is_mle(document, seed):
    (kept,) = _objective("conditional", drop_fraction=1.0).documents(document, np.random.default_rng(seed))
    assert kept == document


@FEW
@given(documents(), st.integers(0, 99), st.floats(0, 1))
def test_conditional_without_its_tokens_is_the_document(document, seed, dropped):
    objective = _objective("conditional", drop_fraction=dropped, aligned_prefix="\ue000", misaligned_prefix="\ue001")
    (marked,) = objective.documents(document, np.random.default_rng(seed))
    assert [part.removeprefix("\ue000").removeprefix("\ue001") for part in marked.segments] == list(document.segments)
    assert marked.scores == document.scores


@given(st.floats(-60, 0))
def test_log_complement_is_that_of_wide_numbers(logprob):
    logprobs = torch.tensor([logprob], dtype=torch.float32, requires_grad=True)
    found = log_complement(logprobs)
    found.sum().backward()
    given_back = float(logprobs.detach())  # as float32 has it
    expected = math.log(max(-math.expm1(given_back), 1e-20))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6)
    slope = -math.exp(given_back) / -math.expm1(given_back) if -math.expm1(given_back) > 1e-20 else 0
    assert float(logprobs.grad) == pytest.approx(slope, rel=1e-6)
