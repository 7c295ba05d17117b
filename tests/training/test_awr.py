"""Advantage-weighted regression beyond the original program's numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from families import tiny
from obverse.core import ConfigError, ObverseError, build
from obverse.training.example import IGNORED
from obverse.training.objectives.awr import AWR, AWRConfig


def _inputs(seed=0):
    numbers = np.random.default_rng(seed)
    output = SimpleNamespace(
        logits=torch.from_numpy(numbers.normal(size=(2, 5, 7))).requires_grad_(),
        token_values=torch.from_numpy(numbers.uniform(-1.5, 0.5, (2, 5))).requires_grad_(),
    )
    labels = torch.from_numpy(numbers.integers(0, 7, (2, 5)))
    labels[0, 3:] = IGNORED
    batch = {"labels": labels, "token_scores": torch.from_numpy(numbers.random((2, 5)))}
    return output, {**batch, "token_weights": torch.ones(2, 5, dtype=torch.float64)}


def _slow(output, batch, alpha, beta, expected, normalize=False, scale=1.0):
    """Return the loss by the paper's formula, token by token."""
    logprobs = output.logits.detach().log_softmax(-1)
    pairs = [(b, t) for b in range(2) for t in range(4) if batch["labels"][b, t + 1] != IGNORED]
    rewards = np.array([-float(batch["token_scores"][b, t + 1]) / scale for b, t in pairs])
    values = np.array([float(output.token_values.detach()[b, t]) for b, t in pairs])
    advantages = rewards - expected(values)
    if normalize:
        advantages = (advantages - advantages.mean()) / advantages.std(ddof=1)
    nll = np.array([-float(logprobs[b, t, batch["labels"][b, t + 1]]) for b, t in pairs])
    return alpha * nll @ np.exp(advantages / beta) + (1 - alpha) * np.sum((rewards - values) ** 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, lambda values: values),
        ({"fixed_value": 0}, lambda values: 0),
        ({"fixed_value": -0.3}, lambda values: -0.3),
        ({"use_value_head": False}, lambda values: 0),
        ({"normalize_advantage": True}, lambda values: values),
    ],
)
def test_the_loss_is_the_formulas(settings, expected):
    output, batch = _inputs()
    found = AWR(AWRConfig(beta=0.7, reward_scale=2, **settings)).loss(output, batch)
    slow = _slow(output, batch, 0.5, 0.7, expected, "normalize_advantage" in settings, scale=2)
    assert float(found.total) == pytest.approx(slow, rel=1e-9)
    assert found.count == 6


def test_without_a_head_the_reward_itself_is_the_advantage():
    output, batch = _inputs()
    found = AWR(AWRConfig(alpha=1, value_head=None, beta=2)).loss(SimpleNamespace(logits=output.logits), batch)
    assert float(found.total) == pytest.approx(_slow(output, batch, 1, 2, lambda values: 0))


def test_a_value_loss_without_a_head_is_refused():
    with pytest.raises(ConfigError, match=r"alpha = 0\.5 gives the value loss a weight of 0\.5, but"):
        build(AWRConfig, {"value_head": None})


def test_a_model_without_the_head_that_is_asked_for_is_refused():
    output, batch = _inputs()
    with pytest.raises(ConfigError, match="A value head is asked for, but the model has none"):
        AWR(AWRConfig()).loss(SimpleNamespace(logits=output.logits), batch)


def test_the_head_learns_what_reward_to_expect():
    objective, lm = AWR(AWRConfig(alpha=0.0, reward_scale=0.5)), tiny("llama")
    objective.setup(lm, torch.Generator())
    lm.model.requires_grad_(True)
    ids = torch.randint(3, 500, (4, 12), generator=torch.Generator().manual_seed(0))
    batch = {
        "input_ids": ids, "labels": ids, "attention_mask": torch.ones_like(ids),
        "token_scores": torch.full((4, 12), 0.4), "token_weights": torch.ones(4, 12),
    }  # fmt: skip
    first = objective(lm.model, batch)
    assert float(first.logs["value"]) == -0.5
    optimizer = torch.optim.Adam(lm.model.parameters(), 0.05)
    for _ in range(25):
        optimizer.zero_grad()
        objective(lm.model, batch).mean.backward()
        optimizer.step()
    assert float(objective(lm.model, batch).logs["value"]) == pytest.approx(-0.8, abs=0.03)


def test_the_head_is_saved_and_read(tmp_path):
    objective, lm = AWR(AWRConfig()), tiny("llama")
    objective.setup(lm, torch.Generator())
    torch.nn.init.normal_(lm.model.value_head.weight)
    objective.save(tmp_path)
    again, other = AWR(AWRConfig()), tiny("llama")
    again.setup(other, torch.Generator())
    again.load(tmp_path)
    assert torch.equal(other.model.value_head.weight, lm.model.value_head.weight)
    with pytest.raises(ObverseError, match=r"no value_head.safetensors in .*elsewhere"):
        again.load(tmp_path / "elsewhere")
    larger, opt = AWR(AWRConfig()), tiny("opt_projected")
    larger.setup(opt, torch.Generator())
    with pytest.raises(ObverseError, match="is of size 32; this model's has 16"):
        larger.load(tmp_path)
