"""Attribution against the original program: the scores of knowledge neurons, and which neurons it takes."""

import numpy as np
import pytest
from tests.golden.conftest import arrays, golden, params

from obverse.core import Fact
from obverse.locating.attribution import AttributionConfig, attribute

CASES = golden("kn") or {}


@pytest.mark.parametrize("name", params("kn", [(name, case["model"]) for name, case in CASES.items()]))
def test_scores_equal_the_original_program(name, golden_model):
    case, wanted = CASES[name], arrays("kn")[f"{name}/scores"]
    config = AttributionConfig(
        at="preactivation", rule="reference", reading="same-position", steps=case["steps"]
    )  # fmt: skip
    fact = Fact(case["prompt"], "{}", case["ground_truth"])
    found = attribute(golden_model(case["model"]), fact, config, answer_ids=case["ground_truth_ids"])
    assert np.abs(found.scores.numpy() - wanted).max() < 1e-4 * case["score_max"]
    assert found.highest == pytest.approx(case["score_max"], rel=1e-4)
    assert sorted([n.layer, n.index] for n in found.above(case["adaptive_threshold"])) == sorted(case["neurons"])
