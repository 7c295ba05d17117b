"""Fine-tuning against the original program: losses, changes of every parameter, and what the trained model says."""

import numpy as np
import pytest
import torch
from tests.golden.conftest import arrays, golden, params

from obverse.core import Fact
from obverse.editing._finetune import detached, whole
from obverse.editing._fit import FitConfig, fit
from obverse.editing.edit import Edit
from obverse.measuring import likelihoods, top_tokens

CASES = golden("ft") or {}


def matching(lm, case):
    """Return the modules of the parameters whose name contains the case's pattern, as the original chooses them."""
    patterns = [case["rewrite_module_tmp"].format(layer) for layer in case["hparams"]["layers"]]
    names = [name for name, _ in lm.model.named_parameters() if any(pattern in name for pattern in patterns)]
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


def stored(lm, deltas, name):
    """Return a parameter's change in the order in which the model stores it; a vector is a column."""
    module, _, kind = name.rpartition(".")
    if kind == "bias":
        return deltas[module].bias[:, None]
    transposed = type(lm.model.get_submodule(module)).__name__ == "Conv1D"
    return deltas[module].delta.T if transposed else deltas[module].delta


@pytest.mark.parametrize("name", params("ft", [(name, case["model"]) for name, case in CASES.items()]))
def test_training_equals_the_original_program(name, golden_model):
    case, found = CASES[name], arrays("ft")
    lm, h = golden_model(case["model"]), case["hparams"]
    facts = [Fact(r["subject"], r["prompt"], r["target_new"]["str"].strip()) for r in case["requests"]]
    config = FitConfig(
        steps=h["num_steps"], learning_rate=h["lr"], weight_decay=h["weight_decay"], batch_size=h["batch_size"]
    )
    bound = h["norm_constraint"] if isinstance(h["norm_constraint"], float) else None
    trained = whole(lm, matching(lm, case), bound)
    fitted = fit(lm, facts, trained, config)
    deltas = {module: detached(delta) for module, delta in trained.deltas().items()}

    assert fitted.losses == pytest.approx(case["losses"], abs=1e-4, rel=1e-3)
    for parameter, expected in case["deltas"].items():
        change = stored(lm, deltas, parameter)
        rows, columns = change.shape
        random = np.random.RandomState(11)  # the numbers show that it starts anew for each parameter
        right, left = random.randn(columns), random.randn(rows)
        assert list(change.shape)[: len(expected["shape"])] == expected["shape"]
        assert float(change.norm()) == pytest.approx(expected["fro"], rel=1e-3)
        assert float(change.abs().max()) == pytest.approx(expected["maxabs"], rel=1e-3)
        assert float((change != 0).float().mean()) == pytest.approx(expected["nonzero_frac"], abs=1e-3)
        check_probe(change.double() @ torch.tensor(right), found[f"{name}/right:{parameter}"])
        check_probe(torch.tensor(left) @ change.double(), found[f"{name}/left:{parameter}"])

    edit = Edit(deltas, tuple(facts), "ft", None, lm.fingerprint, lm.name, {})
    check_answers(lm, case, "pre")
    with edit.applied(lm):
        check_answers(lm, case, "post")


def check_probe(ours, theirs):
    theirs = torch.as_tensor(theirs).double().reshape(ours.shape)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-3


def check_answers(lm, case, when):
    answers = (case["requests"][0]["target_new"]["str"].strip(), case["target_true"].strip())
    for i, (prompt, nll) in enumerate(zip(case["probes"], case[f"{when}_nll"], strict=True)):
        new, true = likelihoods(lm, [(prompt, answer) for answer in answers])
        assert -new.mean == pytest.approx(nll["target_new"], abs=1e-3, rel=1e-3)
        assert -true.mean == pytest.approx(nll["target_true"], abs=1e-3, rel=1e-3)
        if when == "post":
            (first, *_), (ours,) = case["post_top5"][i], top_tokens(lm, prompt, 1)
            assert (ours.id, ours.probability) == (first[0], pytest.approx(first[2], abs=1e-3))
