"""Losses, gradients, value head and new vocabulary rows against the original program of PHF."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.golden.conftest import FOLDER

from obverse.training import objectives
from obverse.training._values import ValueHead, ValueHeadConfig
from obverse.training.vocabulary import new_rows

PHF = FOLDER / "phf"
CASES = json.loads((PHF / "objectives.json").read_text()) if PHF.is_dir() else {}
pytestmark = pytest.mark.skipif(not CASES, reason=f"no golden folder: {PHF} is absent (set OBVERSE_GOLDEN)")


def _ours(name: str, given: dict):
    """Return our objective for the original's class and arguments."""
    if name == "Unlikelihood":
        threshold = given["score_threshold"] or 0  # 0 and none are the soft mixture there
        given = {"threshold": threshold, "soft": not threshold, "alpha": given["alpha"], "end_token": "as-segment"}
    elif name == "AWR":
        value = given.get("fixed_value") or None  # 0 is no value there
        given = {"beta": 1.0, **given, "fixed_value": value, "reward_scale": "published"}
    objective = objectives.load(name.lower())
    return objective(objective.config_type(**given))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_equal_the_original_program(case, dtype):
    facts, stored = CASES[case], np.load(PHF / "objectives.npz")
    given = {
        key: torch.from_numpy(stored[f"in/{facts['input']}/{key}"]) for key in ("logits", "token_scores", "values")
    }
    given = {key: value.to(getattr(torch, dtype)) for key, value in given.items()}
    logits, values = given["logits"].requires_grad_(), given["values"].requires_grad_()
    labels = torch.from_numpy(stored[f"in/{facts['input']}/labels"])
    batch = {"labels": labels, "token_scores": given["token_scores"], "token_weights": torch.ones_like(values).detach()}
    found = _ours(facts["objective"], facts["kwargs"]).loss(SimpleNamespace(logits=logits, token_values=values), batch)
    assert found.count == labels[:, 1:].numel()
    found.mean.backward()

    tolerance = {"rtol": 1e-10, "atol": 1e-13} if dtype == "float64" else {"rtol": 2e-6, "atol": 2e-7}
    expected = {key: stored[f"out/{case}/{dtype}/{key}"] for key in ("loss", "grad_logits", "grad_values")}
    np.testing.assert_allclose(found.mean.detach(), expected["loss"], rtol=tolerance["rtol"])
    np.testing.assert_allclose(logits.grad, expected["grad_logits"], **tolerance)
    of_values = np.zeros(values.shape) if values.grad is None else values.grad
    np.testing.assert_allclose(of_values, expected["grad_values"], **tolerance)


@pytest.mark.parametrize("case", [case for case, facts in CASES.items() if facts["objective"] == "AWR"])
def test_logs_of_awr_equal_the_original_program(case):
    facts, stored = CASES[case], np.load(PHF / "objectives.npz")
    logits, scores, values, labels = (
        torch.from_numpy(stored[f"in/{facts['input']}/{key}"]) for key in ("logits", "token_scores", "values", "labels")
    )
    batch = {"labels": labels, "token_scores": scores, "token_weights": torch.ones_like(values)}
    output = SimpleNamespace(logits=logits, token_values=values)
    logs = _ours("AWR", facts["kwargs"]).loss(output, batch).logs
    theirs = {"likelihood_loss": "lm_loss", "weighted_loss": "weighted_lm_loss", "value": "value_avg",
              "value_loss": "value_loss", "weight": "weight_avg", "advantage": "advantage_avg"}  # fmt: skip
    for ours, original in theirs.items():
        assert float(logs[ours]) == pytest.approx(facts["logs"][original], abs=1e-12), ours


def test_value_head_equals_the_original_program():
    stored = np.load(PHF / "heads_and_vocab.npz")
    assert not stored["vh/init_weight"].any()
    tested = 0
    for sigmoid in (True, False):
        for detached in (True, False):
            key = f"vh/sigmoid{sigmoid:d}_detached{detached:d}"
            if f"{key}/values" not in stored:
                continue
            hidden = torch.from_numpy(stored["vh/hidden"]).requires_grad_()
            head = ValueHead(8, ValueHeadConfig(sigmoid=sigmoid, is_detached=detached), hidden)
            assert not head.weight.any()
            with torch.no_grad():
                head.weight.copy_(torch.from_numpy(stored["vh/weight"]))
            values = head(hidden)
            values.sum().backward()
            np.testing.assert_allclose(values.detach(), stored[f"{key}/values"], atol=1e-12)
            np.testing.assert_allclose(head.weight.grad, stored[f"{key}/grad_weight"], atol=1e-12)
            of_hidden = np.zeros(hidden.shape) if hidden.grad is None else hidden.grad
            np.testing.assert_allclose(of_hidden, stored[f"{key}/grad_hidden"], atol=1e-12)
            tested += 1
    assert tested


def test_new_rows_of_a_vocabulary_equal_the_original_program():
    stored = np.load(PHF / "heads_and_vocab.npz")
    made = new_rows(torch.from_numpy(stored["vocab/old"]), torch.from_numpy(stored["vocab/noise"]))
    np.testing.assert_allclose(made, stored["vocab/new_rows"], rtol=1e-6, atol=1e-12)
