"""KN against the original program: which rows change, by how much, and what the edited model then says."""

import pytest
from tests.golden.conftest import golden, params

from obverse.core import Fact
from obverse.editing.edit import Edit
from obverse.editing.kn import KnConfig, answering, changes
from obverse.locating.attribution import AttributionConfig, attribute
from obverse.measuring import likelihoods, top_tokens

CASES = golden("kn") or {}


@pytest.mark.parametrize("name", params("kn", [(name, case["model"]) for name, case in CASES.items()]))
def test_edit_equals_the_original_program(name, golden_model):
    case = CASES[name]
    lm = golden_model(case["model"])
    scoring = AttributionConfig(at="preactivation", rule="reference", reading="same-position", steps=case["steps"])
    settings = KnConfig(threshold=case["adaptive_threshold"], vectors="input", attribution=scoring)
    fact = Fact(case["prompt"], "{}", case["target"], case["ground_truth"])
    found = attribute(lm, fact, scoring, answer_ids=case["ground_truth_ids"])
    neurons = answering(found, range(lm.architecture.n_layers), settings.threshold)
    (likeliest,) = top_tokens(lm, fact.text, 1)
    deltas = changes(lm, neurons, likeliest.id, case["target_ids"], settings)

    assert likeliest.text.strip() == case["argmax_before"].strip()
    assert sorted([neuron.layer, neuron.index] for neuron in neurons) == sorted(case["neurons"])
    assert {f"{module}.weight" for module in deltas} == set(case["deltas"])
    for module, delta in deltas.items():
        expected = case["deltas"][f"{module}.weight"]
        assert delta.norm() == pytest.approx(expected["fro"], rel=1e-3)
        assert delta.right[:, 0].nonzero()[:, 0].tolist() == sorted(expected["rows"])

    edit = Edit(deltas, (fact,), "kn", None, lm.fingerprint, lm.name, {})
    check_probes(lm, case, "pre")
    with edit.applied(lm):
        check_probes(lm, case, "post")


def check_probes(lm, case, when):
    answers = {"target_new": case["target"].strip(), "target_true": case["ground_truth"].strip()}
    for prompt, nll in zip(case["probes"], case[f"{when}_nll"], strict=True):
        for which, answer in answers.items():
            (found,) = likelihoods(lm, [(prompt, answer)])
            assert -found.mean == pytest.approx(nll[which], abs=1e-2, rel=1e-2)
