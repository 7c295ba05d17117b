"""ROME against the original program: keys, values, directions, updates and what the edited model then says."""

import numpy as np
import pytest
import torch
from tests.golden.conftest import arrays, golden, params

from obverse.core import Fact
from obverse.editing._rows import look
from obverse.editing.edit import Edit, LowRank
from obverse.editing.moments import SecondMoment
from obverse.editing.rome import closed_form
from obverse.editing.values import ValueConfig, optimize
from obverse.measuring import likelihoods, top_tokens

CASES = golden("rome") or {}


def relative(ours, theirs):
    theirs = torch.as_tensor(theirs)
    return float((ours - theirs).norm() / theirs.norm())


def moment_of(case, size):
    if case["covariance"] != "spd" or not case["hparams"]["mom2_adjustment"]:
        return None
    a = np.random.RandomState(7).randn(size, 2 * size)
    return SecondMoment(torch.tensor(a @ a.T / (2 * size) + 0.1 * np.eye(size)), 1, 0.0)


@pytest.mark.parametrize("name", params("rome", [(name, case["model"]) for name, case in CASES.items()]))
def test_edit_equals_the_original_program(name, golden_model):
    case, found = CASES[name], arrays("rome")
    lm, h = golden_model(case["model"]), case["hparams"]
    request = case["request"]
    fact = Fact(request["subject"], request["prompt"], request["target_new"]["str"].strip())
    config = ValueConfig(
        steps=h["v_num_grad_steps"], learning_rate=h["v_lr"], weight_decay=h["v_weight_decay"],
        clamp=h["clamp_norm_factor"], kl_factor=h["kl_factor"],
    )  # fmt: skip
    (layer,) = h["layers"]
    looked = look(lm, layer, [fact], case["context_templates"], h["fact_token"].replace("_", "-"))
    (value,) = optimize(lm, layer, looked, config)
    keys, values = looked.keys[:-1], looked.values[:-1]
    closed = closed_form(keys, values, value.target, moment_of(case, keys.shape[1]), "original")

    assert relative(keys.mean(0), found[f"{name}/kstar"]) < 1e-5
    assert relative(closed.right / closed.right.norm(), found[f"{name}/u"]) < 1e-5
    assert relative(value.initial, found[f"{name}/v_init"]) < 1e-5
    assert relative(value.target, found[f"{name}/v_star"]) < 1e-3
    u, right = torch.as_tensor(found[f"{name}/u"]), torch.as_tensor(found[f"{name}/right_vector"])
    expected = torch.outer(right, u)
    assert relative(torch.outer(closed.left, closed.right), expected) < 1e-3
    assert len(value.steps) == len(case["steps"])
    for ours, theirs in zip(value.steps, case["steps"], strict=True):
        assert ours.loss == pytest.approx(theirs["loss"], abs=1e-3, rel=1e-3)
        assert ours.nll == pytest.approx(theirs["nll"], abs=1e-3, rel=1e-3)

    delta = LowRank(closed.left[:, None], closed.right[:, None])
    edit = Edit({lm.architecture.mlp_out(layer): delta}, (fact,), "rome", None, lm.fingerprint, lm.name, {})
    check_probes(lm, case, "pre")
    with edit.applied(lm):
        check_probes(lm, case, "post")


def check_probes(lm, case, when):
    answers = (case["request"]["target_new"]["str"].strip(), case["target_true"].strip())
    for prompt, nll, top in zip(case["probes"], case[f"{when}_nll"], case[f"{when}_top5"], strict=True):
        new, true = likelihoods(lm, [(prompt, answer) for answer in answers])
        assert -new.mean == pytest.approx(nll["target_new"], abs=1e-2, rel=1e-2)
        assert -true.mean == pytest.approx(nll["target_true"], abs=1e-2, rel=1e-2)
        (first, *_), (ours,) = top, top_tokens(lm, prompt, 1)
        expected = first[2] if isinstance(first, list) else first["probability"]
        assert ours.probability == pytest.approx(expected, abs=1e-2)
