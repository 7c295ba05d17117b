"""Unlikelihood: which tokens are made less probable, and by how much."""

from types import SimpleNamespace

import pytest
import torch

from families import tiny
from obverse.core import ConfigError, build
from obverse.training.objectives.unlikelihood import Unlikelihood, UnlikelihoodConfig, log_complement


def _logprob_gradient(objective, labels, scores):
    """Return the loss of uniform predictions over four tokens, and the gradient at each label."""
    logits = torch.zeros(1, len(labels), 4, requires_grad=True)
    batch = {
        "labels": torch.tensor([labels]), "token_scores": torch.tensor([scores]),
        "token_weights": torch.ones(1, len(labels)),
    }  # fmt: skip
    found = objective.loss(SimpleNamespace(logits=logits), batch)
    found.total.backward()
    return found, [float(logits.grad[0, i - 1, labels[i]]) for i in range(1, len(labels))]


def _ready(**settings):
    objective = Unlikelihood(UnlikelihoodConfig(**settings))
    lm = tiny("llama")
    lm.tokenizer.eos_token_id = 2
    objective.setup(lm, torch.Generator())
    return objective


def test_tokens_above_the_threshold_are_pushed_down_the_others_up():
    found, (good, bad) = _logprob_gradient(_ready(threshold=0.1), [0, 1, 3], [0.0, 0.1, 0.2])
    assert good == pytest.approx(-0.75)  # p - 1
    assert bad == pytest.approx(0.25)  # q / (1 - q) * (1 - q), with q = 1/4
    assert float(found.logs["aligned_share"]) == 0.5
    assert float(found.logs["score"]) == pytest.approx(0.15)


def test_alpha_weighs_what_is_pushed_down():
    _, (_, bad) = _logprob_gradient(_ready(threshold=0.1, alpha=0.01), [0, 1, 3], [0.0, 0.1, 0.2])
    assert bad == pytest.approx(0.0025)


def test_zero_is_a_threshold_and_soft_another_thing():
    _, (hard,) = _logprob_gradient(_ready(threshold=0), [0, 3], [0.0, 0.01])
    assert hard > 0
    _, (soft,) = _logprob_gradient(_ready(soft=True), [0, 3], [0.0, 0.01])
    assert soft == pytest.approx(0.99 * -0.75 + 0.01 * 0.25)


def test_the_end_of_a_document_is_never_made_unlikely_unless_as_published():
    _, (spared,) = _logprob_gradient(_ready(), [0, 2], [0.0, 1.0])
    assert spared == pytest.approx(-0.75)
    _, (published,) = _logprob_gradient(_ready(end_token="as-segment"), [0, 2], [0.0, 1.0])
    assert published == pytest.approx(0.25)


def test_a_certain_token_has_a_finite_loss_and_no_gradient():
    logprobs = torch.tensor([0.0, -1e-30, -1e-7], requires_grad=True)
    found = log_complement(logprobs)
    found.sum().backward()
    assert found[:2].tolist() == pytest.approx([-46.0517, -46.0517], abs=1e-3)
    assert logprobs.grad[:2].tolist() == [0, 0]
    assert logprobs.grad.isfinite().all()
    assert float(logprobs.grad[2]) == pytest.approx(-1e7, rel=1e-5)


def test_a_value_head_is_refused():
    with pytest.raises(ConfigError, match="value_head: no such setting"):
        build(UnlikelihoodConfig, {"value_head": {"sigmoid": True}})
