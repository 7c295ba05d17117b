"""MEMIT against the original program: states z, keys, what is missing before each layer, changes, answers."""

import numpy as np
import pytest
import torch
from tests.golden.conftest import arrays, golden, params

from obverse.core import Fact, build
from obverse.editing._range import states_to_reach, write_range
from obverse.editing.memit import MemitConfig, ridge_answers
from obverse.measuring import likelihoods

CASES = golden("memit") or {}


def relative(ours, theirs):
    theirs = torch.as_tensor(theirs).to(ours)
    return float((ours - theirs).norm() / theirs.norm())


def covariance(case, size):
    if case["covariance"] != "spd":
        return torch.eye(size, dtype=torch.float64)
    a = np.random.RandomState(7).randn(size, 2 * size)
    return torch.tensor(a @ a.T / (2 * size) + 0.1 * np.eye(size)).float().double()


def given(case):
    """Return facts, contexts and settings of a case."""
    facts = [Fact(r["subject"], r["prompt"], r["target_new"]["str"].strip()) for r in case["requests"]]
    templates = [template for group in case["context_templates"] for template in group]
    settings = {
        "steps": case["v_num_grad_steps"], "learning_rate": case["v_lr"], "weight_decay": case["v_weight_decay"],
        "clamp": case["clamp_norm_factor"], "kl_factor": case["kl_factor"], "contexts": {"texts": templates[1:]},
    }  # fmt: skip
    assert templates[0] == "{}"
    return facts, templates, build(MemitConfig, settings)


@pytest.mark.parametrize("name", params("memit", [(name, case["model"]) for name, case in CASES.items()]))
def test_states_equal_the_original_programs(name, golden_model):
    case = CASES[name]
    facts, templates, config = given(case)
    _, _, z = states_to_reach(golden_model(case["model"]), max(case["layers"]), facts, templates, config)
    assert relative(z.T, arrays("memit")[f"{name}/z"]) < 1e-3


@pytest.mark.parametrize("name", params("memit", [(name, case["model"]) for name, case in CASES.items()]))
def test_edit_equals_the_original_program(name, golden_model):
    case, found = CASES[name], arrays("memit")
    lm = golden_model(case["model"])
    facts, _, config = given(case)

    def answers(_, keys):
        return ridge_answers(keys, covariance(case, keys.shape[1]), case["mom2_update_weight"])

    edit = write_range(lm, facts, sorted(case["layers"]), config, "memit", answers)

    missing = torch.tensor([detail["missing_before_each_layer"] for detail in edit.details]).T
    expected = torch.tensor([row["norms"] for row in sorted(case["z_error_per_layer"], key=lambda row: row["layer"])])
    torch.testing.assert_close(missing, expected, rtol=1e-3, atol=1e-4)
    draws = np.random.RandomState(11)
    for layer in case["layers"]:
        module = lm.architecture.mlp_out(layer)
        # GPT-2 stores its matrices as (in, out).
        delta = edit.deltas[module].dense()
        delta = delta.T if lm.architecture.transposed else delta
        theirs = case["deltas"][f"{module}.weight"]
        assert list(delta.shape) == theirs["shape"]
        assert relative(edit.keys[module].T, found[f"{name}/keys:{layer}"]) < 1e-3
        assert float(delta.norm()) == pytest.approx(theirs["fro"], rel=1e-3)
        assert float(delta.abs().max()) == pytest.approx(theirs["maxabs"], rel=1e-3)
        a, b = (torch.tensor(draws.randn(size)).float() for size in (delta.shape[1], delta.shape[0]))
        assert relative(delta @ a, found[f"{name}/right:{module}.weight"]) < 1e-3
        assert relative(b @ delta, found[f"{name}/left:{module}.weight"]) < 1e-3

    check_probes(lm, case, "pre")
    with edit.applied(lm):
        check_probes(lm, case, "post")


def check_probes(lm, case, when):
    for probe, rows in zip(case["probes"], case[f"{when}_nll"], strict=True):
        for prefix, nll in zip(probe["prefixes"], rows, strict=True):
            pairs = [(prefix, probe["target_new"].strip()), (prefix, probe["target_true"].strip())]
            new, true = likelihoods(lm, pairs)
            assert -new.mean == pytest.approx(nll["target_new"], abs=1e-2, rel=1e-2)
            assert -true.mean == pytest.approx(nll["target_true"], abs=1e-2, rel=1e-2)
