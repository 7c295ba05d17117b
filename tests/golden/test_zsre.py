"""zsRE's teacher-forced accuracy against the original program: of each target token, whether it is the arg-max."""

import pytest
from tests.golden.conftest import golden, params

from obverse.data import zsre_case
from obverse.measuring import likelihoods

CASES = {f"{i}-{case['model']}": case for i, case in enumerate((golden("zsre") or {"cases": []})["cases"])}
KINDS = {"rewrite": "efficacy", "paraphrase": "generalization", "neighborhood": "specificity"}


@pytest.mark.parametrize("name", params("zsre", [(name, case["model"]) for name, case in CASES.items()]))
def test_every_token(name, golden_model):
    golden_case = CASES[name]
    case, lm = zsre_case(golden_case["record"]), golden_model(golden_case["model"])
    (unrelated,) = case.probes["specificity"]
    assert (unrelated.text, unrelated.expected) == (golden_case["loc"] + "?", golden_case["loc_ans"])
    for key, kind in KINDS.items():
        found = likelihoods(lm, [(probe.text, probe.expected) for probe in case.probes[kind]])
        ours = [right for answer in found for right in answer.correct]
        assert ours == golden_case["out"][f"{key}_prompts_correct"]
