"""Blank infilling against GLM's program: lengths and places of spans, layout, both axes of positions, attention."""

import json
import random  # noqa: TID251 (the reference's own source of draws)

import numpy as np
import pytest
from tests.golden.conftest import FOLDER

from obverse.training.example import IGNORED
from obverse.training.objectives._blanks import lay_out, length_shares, place

REVERSAL = FOLDER / "reversal"


def lines(name):
    path = REVERSAL / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


pytestmark = pytest.mark.skipif(not lines("abi_cases.jsonl"), reason="no golden folder (set OBVERSE_GOLDEN)")


def test_shares_of_lengths():
    golden = json.loads((REVERSAL / "abi_length_weights.json").read_text("utf-8"))
    found, weights = length_shares(3, 39), np.array(golden["weights_unnormalised"])
    assert found == pytest.approx(weights / weights.sum(), rel=1e-9)
    assert found @ np.array(golden["lengths"]) == pytest.approx(golden["mean_after_normalisation"], rel=1e-9)


@pytest.mark.parametrize("case", lines("abi_span_sampling.jsonl"), ids=str)
def test_places_of_spans(case):
    below = random.Random(case["python_random_seed"]).randrange
    found = place(case["span_lengths"], case["total_length"], below, case["offset"])
    assert [list(span) for span in found] == case["spans"]


@pytest.mark.parametrize("case", lines("abi_cases.jsonl"), ids=lambda case: case["name"])
def test_layout(case):
    ids = np.array(case["input"])
    mask = 92 if case["task"] == "gap_sentence" else 90
    layout = lay_out(ids, ids, case["span_order_in_part_b"], mask=mask, start=93, end=94, ignored=IGNORED)
    assert layout.part_a == case["source_length"]
    # Ours closes with an end token, so that the last span's end has an input to be the label of.
    assert layout.ids.tolist() == [*case["tokens"], 94]
    wanted = [t if kept else IGNORED for t, kept in zip(case["targets"], case["loss_mask"], strict=True)]
    assert layout.labels[1:].tolist() == wanted  # label i is predicted from output i - 1
    assert layout.labels[0] == IGNORED
    assert layout.anchor[:-1].tolist() == case["position_ids"]
    assert layout.inner[:-1].tolist() == case["block_position_ids"]


@pytest.mark.parametrize("case", lines("abi_cases.jsonl"), ids=lambda case: case["name"])
def test_who_sees_whom(case):
    """A model of one block passes on exactly what attention lets through: changed inputs reach who may see them."""
    import torch

    from families import tiny
    from obverse.model.bidirectional import BothSides

    lm = tiny("llama", num_hidden_layers=1)
    ids, sep = torch.tensor([case["tokens"]]), torch.tensor([case["source_length"]])
    sides = BothSides.of(lm.model)

    def run(row):
        with torch.no_grad(), sides.seen(torch.ones_like(row, dtype=torch.bool), prefix=sep):
            return lm.model(input_ids=row, use_cache=False).logits[0]

    clean = run(ids)
    for column in range(0, ids.shape[1], 3):
        changed = ids.clone()
        changed[0, column] = 7
        reached = (run(changed) - clean).abs().amax(-1) > 1e-6
        assert reached.int().tolist() == [row[column] for row in case["attention"]], column
