"""Reward-weighted regression: the weight of a token."""

import math
from types import SimpleNamespace

import pytest
import torch

from obverse.core import ConfigError, build
from obverse.training.objectives.rwr import RWR, RWRConfig


def _weights(scores, **settings):
    """Return the factor on each token's loss."""
    logits = torch.zeros(1, len(scores) + 1, 4, requires_grad=True)
    labels = torch.ones(1, len(scores) + 1, dtype=torch.int64)
    batch = {
        "labels": labels,
        "token_scores": torch.tensor([[9.0, *scores]]),
        "token_weights": torch.ones(labels.shape),
    }
    RWR(RWRConfig(**settings)).loss(SimpleNamespace(logits=logits), batch).total.backward()
    return (logits.grad[0, :-1, 1] / -0.75).tolist()


def test_the_weight_is_the_exponential_of_the_reward_in_units_of_scale_times_beta():
    expected = [1.0, math.exp(-0.02 / (0.5 * 0.1))]
    assert _weights([0.0, 0.02], beta=0.5, reward_scale=0.1) == pytest.approx(expected)


def test_the_published_scale_makes_densities_of_scores_weigh_alike():
    assert min(_weights([0.0, 0.01], beta=10, reward_scale="published")) > 0.998
    assert min(_weights([0.0, 0.01], reward_scale=0.01)) < 0.04


def test_published_multiplies_by_what_its_untrained_head_adds():
    plain, published = _weights([0.0, 1.0], beta=10), _weights([0.0, 1.0], beta=10, published=True)
    assert [p / q for p, q in zip(published, plain, strict=True)] == pytest.approx([math.exp(0.05)] * 2)


def test_weights_are_cut_at_the_largest():
    assert _weights([-5.0, 0.0], beta=0.1, clip_weight_max=20) == pytest.approx([20, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": 0}, "beta: Input should be greater than 0"),
        ({"reward_scale": 0}, "reward_scale.*greater than 0"),
        ({"reward_scale": "mean"}, "reward_scale.*'published'"),
        ({"value_head": {}}, "value_head: no such setting"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(RWRConfig, settings)
