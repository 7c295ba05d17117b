"""Packing against the published pipeline: the same blocks, the same scores, token by token."""

import copy
import json
import math

import numpy as np
import pytest
from tests.golden.conftest import FOLDER, SMOL

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.data.scored_files import document_source
from obverse.training.objective import Objective
from obverse.training.objectives.conditional import Conditional, ConditionalConfig
from obverse.training.objectives.filtering import Filtering, FilteringConfig
from obverse.training.packing import PackSettings, Preparation, pack

PLACE = FOLDER / "phf"
CASES = json.loads((PLACE / "dataset_blocks.json").read_text()) if PLACE.is_dir() else {}
pytestmark = pytest.mark.skipif(not CASES, reason="no golden folder (set OBVERSE_GOLDEN)")


class Recorded:
    """Draws as they were recorded; all must be taken."""

    def __init__(self, draws: list[float]) -> None:
        self.left = list(draws)

    def random(self, count: int) -> np.ndarray:
        taken, self.left = self.left[:count], self.left[count:]
        return np.array(taken)


class Published(Objective):
    """Filtering, then control tokens, as one case asks for."""

    needs_scores = True

    def __init__(self, args: dict) -> None:
        super().__init__(Config())
        given = args.get("conditional_training_config")
        self.parts: list[Objective] = []
        if "filter_threshold" in args:
            self.parts.append(Filtering(FilteringConfig(threshold=args["filter_threshold"])))
        if given:
            names = ("threshold", "aligned_prefix", "misaligned_prefix")
            drop = given["drop_token_fraction"]
            self.parts.append(Conditional(ConditionalConfig(drop_fraction=drop, **{n: given[n] for n in names})))

    def documents(self, document, draws):
        kept = [document]
        for part in self.parts:
            kept = [made for text in kept for made in part.documents(text, draws)]
        yield from kept


@pytest.mark.real_model
@pytest.mark.parametrize("name", sorted(CASES))
def test_blocks(name, golden_model, tmp_path, monkeypatch):
    case = CASES[name]
    args, expected = case["args"], np.load(PLACE / "dataset_blocks.npz")
    tokenizer = copy.deepcopy(golden_model(SMOL).tokenizer)
    if "conditional_training_config" in args:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|aligned|>", "<|misaligned|>"]})
    draws = Recorded(case["uniform_draws"])
    monkeypatch.setattr(Preparation, "draws", lambda self, number: draws)
    buffer = math.ceil(args["seq_length"] * args["chars_per_token"] * args["num_of_sequences"])
    settings = PackSettings(length=args["seq_length"], drop_remainder_per_buffer=buffer)
    sources = [_source(tmp_path, which, args["is_split_by_sentences"]) for which in args["datasets"]]
    rows = pack(sources, Published(args), tokenizer, settings, seed=0, cache=tmp_path / "cache")
    first = len(rows) - len(expected[f"{name}/input_ids"])
    assert first == max(0, args.get("skip_tokens", 0) // args["seq_length"] - 1)  # they skip one block too few
    got = [rows[i] for i in range(first, len(rows))]
    assert np.array_equal([row.ids for row in got], expected[f"{name}/input_ids"])
    assert np.array_equal([row.labels for row in got], expected[f"{name}/input_ids"])
    assert np.array_equal([row.scores for row in got], expected[f"{name}/token_scores"])
    assert draws.left == []


def _source(folder, which, split):
    documents = json.loads((PLACE / "documents.json").read_text())
    keys = ("texts", "scores") if split else ("text", "score")
    path = folder / f"{which}.jsonl"
    kept = documents[: 3 if which == "second" else None]
    path.write_text("".join(json.dumps({key: document[key] for key in keys}) + "\n" for document in kept))
    return document_source(str(path))


def test_document_averages():
    for record in json.loads((PLACE / "documents.json").read_text()):
        assert ScoredText(tuple(record["texts"]), tuple(record["scores"])).average == record["avg_score"]
