"""A whole evaluation against the original runner: the data read, the unedited model, ROME's edits, the summary."""

import math

import pytest
from tests.golden.conftest import golden

from obverse.data import counterfact_case, zsre_case
from obverse.editing._rows import look
from obverse.editing.edit import Edit, LowRank
from obverse.editing.rome import closed_form
from obverse.editing.values import ValueConfig, optimize
from obverse.measuring import likelihoods
from obverse.verifying import summarize_rome

GOLDEN = golden("e2e_evaluate") or {"runs": {}}
RUNS = GOLDEN["runs"]
KINDS = {"rewrite": "efficacy", "paraphrase": "generalization", "neighborhood": "specificity"}

pytestmark = pytest.mark.skipif(not RUNS, reason="no golden folder (set OBVERSE_GOLDEN)")


def of_set(name):
    return [(run, content) for run, content in RUNS.items() if run.endswith(name)]


def prompts(case):
    return {**{key: [p.text for p in case.probes.get(kind, ())] for key, kind in KINDS.items()},
            "attribute": list(case.attributes)}  # fmt: skip


def check_counterfact(lm, case, expected, **tolerance):
    for key, texts in prompts(case).items():
        for name, target in (("target_new", case.fact.target), ("target_true", case.fact.target_true)):
            found = likelihoods(lm, [(text, target) for text in texts])
            theirs = [entry[name] for entry in expected[f"{key}_prompts_probs"]]
            assert [-f.mean for f in found] == pytest.approx(theirs, **tolerance), (key, name)


def test_the_unedited_model_on_counterfact(golden_model):
    lm = golden_model(GOLDEN["model"])
    for _, run in of_set("_cf"):
        for record, expected in zip(GOLDEN["counterfact"], run["cases"], strict=True):
            case = counterfact_case(record)
            assert case.id == str(expected["case_id"])
            assert case.prompts == tuple(record["generation_prompts"])
            check_counterfact(lm, case, expected["pre"], abs=1e-4, rel=1e-4)


def test_the_unedited_model_on_zsre(golden_model):
    lm = golden_model(GOLDEN["model"])
    for _, run in of_set("_zsre"):
        for number, (record, expected) in enumerate(zip(GOLDEN["zsre"], run["cases"], strict=True)):
            case, rewrite = zsre_case(record, str(number)), expected["requested_rewrite"]
            assert (case.id, case.fact.prompt) == (str(expected["case_id"]), rewrite["prompt"])
            assert (case.fact.subject, case.fact.target) == (rewrite["subject"], rewrite["target_new"]["str"])
            for key, kind in KINDS.items():
                found = likelihoods(lm, [(probe.text, probe.expected) for probe in case.probes[kind]])
                ours = [right for answer in found for right in answer.correct]
                assert ours == expected["pre"][f"{key}_prompts_correct"]


def test_each_edit_of_rome(golden_model):
    lm, h = golden_model(GOLDEN["model"]), GOLDEN["hparams"]["ROME"]
    config = ValueConfig(
        steps=h["v_num_grad_steps"], learning_rate=h["v_lr"], weight_decay=h["v_weight_decay"],
        clamp=h["clamp_norm_factor"], kl_factor=h["kl_factor"],
    )  # fmt: skip
    (layer,) = h["layers"]
    for record, expected in zip(GOLDEN["counterfact"], RUNS["ROME_cf"]["cases"], strict=True):
        case = counterfact_case(record)
        looked = look(lm, layer, [case.fact], GOLDEN["context_templates"], h["fact_token"].replace("_", "-"))
        (value,) = optimize(lm, layer, looked, config)
        closed = closed_form(looked.keys[:-1], looked.values[:-1], value.target, None, "original")
        delta = LowRank(closed.left[:, None], closed.right[:, None])
        edit = Edit({lm.architecture.mlp_out(layer): delta}, (case.fact,), "rome", None, lm.fingerprint, lm.name, {})
        with edit.applied(lm):
            check_counterfact(lm, case, expected["post"], abs=1e-2, rel=1e-2)


def test_the_summaries():
    for run in RUNS.values():
        summary = summarize_rome(run["cases"])
        assert summary.num_cases == run["summary"]["num_cases"]
        assert {*summary.metrics, "num_cases"} == set(run["summary"])
        for name, (mean, std) in summary.metrics.items():
            theirs = [math.nan if value is None else value for value in run["summary"][name]]
            assert [mean, std] == pytest.approx(theirs, abs=1e-9, nan_ok=True), name
