"""What a model is given and what is scored, against the original program."""

import json

import pytest
from tests.golden.conftest import FOLDER

from obverse.measuring.scenarios import Scenario

PATH = FOLDER / "phf" / "generation_scenarios.json"
CASES = json.loads(PATH.read_text("utf-8")) if PATH.is_file() else {"scenarios": [], "sample_counts": []}

pytestmark = pytest.mark.skipif(not PATH.is_file(), reason="no golden folder (set OBVERSE_GOLDEN)")


def scenario(args, samples):
    """The original's arguments in our words; its `prompt_before_control` puts the control text first."""
    first = args.get("prompt_before_control", False)
    return Scenario(
        samples=samples,
        prompts=args.get("prompts", ()),
        prefix=args.get("prefix", ""),
        control_position="before_prompt" if first else "after_prompt",
        score_prompt=args.get("use_prompt_for_scoring", False),
    )


@pytest.mark.parametrize("case", CASES["scenarios"], ids=lambda case: case["name"])
def test_starts_and_scored_texts(case):
    ours = scenario(case["args"], len(case["model_inputs"]))  # with prompts and a prefix it gives each prompt once
    starts = ours.starts()
    assert ["<eos>" + start.text for start in starts] == case["model_inputs"]
    assert [start.text for start in starts] == case["prompts"]
    scored = [ours.scored_text(s.prompt, text) for s, text in zip(starts, case["continuations"], strict=True)]
    assert scored == case["texts_given_to_scorer"]


@pytest.mark.parametrize("case", CASES["sample_counts"], ids=lambda case: f"{case['num_samples']}/{case['batch_size']}")
def test_the_number_of_samples_is_exact(case):
    # Departs from the original, which rounds to whole batches.
    assert len(Scenario(samples=case["num_samples"]).starts()) == case["num_samples"]
