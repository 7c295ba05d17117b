"""BICO against the released program: logits, loss and gradients of its attention, and the rules of its collator."""

import json

import numpy as np
import pytest
import torch
from tests.golden.conftest import FOLDER

from obverse.model.bidirectional import BothSides
from obverse.training.example import IGNORED, Example, collate
from obverse.training.objectives.bico import BICO, BICOConfig

HERE = FOLDER / "reversal"
absent = pytest.mark.skipif(not (HERE / "bico").is_dir(), reason=f"no golden folder: {HERE} (set OBVERSE_GOLDEN)")
CASES = json.loads((HERE / "bico" / "manifest.json").read_text("utf-8")) if (HERE / "bico").is_dir() else {}
SEEING = [name for name, case in CASES.items() if case["mode"] == "bidirectional_masked"]


@pytest.fixture(scope="module")
def golden_llama():
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = json.loads((HERE / "bico" / "tiny_config.json").read_text("utf-8"))
    model = LlamaForCausalLM(LlamaConfig(**{k: v for k, v in settings.items() if k != "torch_dtype"}))
    model.load_state_dict(load_file(HERE / "bico" / "tiny_model.safetensors"))
    return model


@pytest.fixture(scope="module")
def arrays():
    return np.load(HERE / "bico" / "cases_fp32.npz")


@absent
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("case", SEEING)
def test_logits_are_those_of_the_released_program(case, fused, golden_llama, arrays):
    ids, mask, logits, control = (
        torch.tensor(arrays[f"{case}.{field}"])
        for field in ("input_ids", "attention_mask", "logits", "control_unflipped_logits")
    )
    sides = BothSides.of(golden_llama)

    def found(**how):
        with torch.no_grad(), sides.seen(mask.bool(), fused=fused, **how):
            return golden_llama(input_ids=ids, use_cache=False).logits

    assert (found() - logits).abs().max() < 1e-4
    assert (found() - control).abs().max() > 1
    assert (found(flip=False) - control).abs().max() < 1e-4


@absent
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("case", [name for name in SEEING if "loss" in CASES[name]["fields"]])
def test_loss_and_gradients_are_those_of_the_released_program(case, fused, golden_llama, arrays):
    objective = BICO(BICOConfig(fused=fused))
    objective._sides = BothSides.of(golden_llama)
    ids, mask, labels = (torch.tensor(arrays[f"{case}.{f}"]) for f in ("input_ids", "attention_mask", "labels"))
    ones = torch.ones(ids.shape)
    golden_llama.zero_grad()
    loss = objective(
        golden_llama,
        {"input_ids": ids, "attention_mask": mask, "labels": labels, "token_weights": ones, "token_scores": 0 * ones},
    )
    loss.mean.backward()

    assert loss.mean.item() == pytest.approx(CASES[case]["loss_fp32"], abs=1e-5)
    weights = dict(golden_llama.named_parameters())
    gradients = [field for field in CASES[case]["fields"] if field.startswith("grad.")]
    assert gradients
    for field in gradients:
        expected = torch.tensor(arrays[f"{case}.{field}"])
        torch.testing.assert_close(weights[field.removeprefix("grad.")].grad, expected, atol=1e-5, rtol=0)


@absent
@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case["mode"] == "next_token"])
def test_a_causal_row_gives_the_program_s_next_token_logits(case, golden_llama, arrays):
    ids, mask, logits = (torch.tensor(arrays[f"{case}.{field}"]) for field in ("input_ids", "attention_mask", "logits"))
    nothing = torch.zeros(len(ids), dtype=torch.long)
    with torch.no_grad(), BothSides.of(golden_llama).seen(mask.bool(), prefix=nothing):
        found = golden_llama(input_ids=ids, use_cache=False).logits
    assert (found - logits)[mask.bool()].abs().max() < 1e-4


@absent
def test_masked_rows_follow_the_rules_of_the_collator():
    """The program pads on the left and its draws are its own; what is compared is how ids, labels and mask hang on."""
    lines = (HERE / "bico_collation_examples.jsonl").read_text("utf-8").splitlines()
    batches = [batch for batch in map(json.loads, lines) if batch["masked_objective"]]
    assert batches
    objective = BICO(BICOConfig())
    objective._special = np.array([0, 1, 2])
    for batch in batches:
        longest = max(map(len, batch["sequences"]))
        for row, ids, mask, labels in zip(
            batch["sequences"], batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
        ):
            start = longest - len(row)
            theirs = np.array(labels[start:]) != IGNORED
            if not theirs.any():  # the program may mask nothing in a row; here it is drawn anew
                continue
            objective._masked = lambda possible, _, theirs=theirs: np.where(theirs, possible, False)
            found = collate([objective.corrupt(Example.of(row), np.random.default_rng(0))], 0)
            assert found["input_ids"][0].tolist() == ids[start:]
            assert found["attention_mask"][0].tolist() == mask[start:]
            assert found["labels"][0].tolist() == labels[start:]


@absent
def test_as_many_tokens_are_masked_as_in_the_program():
    stats = json.loads((HERE / "bico_collation_stats.json").read_text("utf-8"))
    objective = BICO(BICOConfig())
    objective._special = np.array(stats["special_ids_never_masked"])
    draws = np.random.default_rng(0)
    row = np.concatenate([[1], draws.integers(3, 97, 44_781), [2]])
    made = objective.corrupt(Example.of(row), draws)
    masked = made.labels != IGNORED
    # Two shares of 44,781 draws each: three standard errors of their difference.
    assert abs(masked.sum() / 44_781 - stats["masked_share_of_content_tokens"]) < 3 * (2 * 0.15 * 0.85 / 44_781) ** 0.5
    assert not masked[[0, -1]].any()
    assert (made.ids[masked] == stats["placeholder_id"]).all()
