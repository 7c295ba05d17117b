"""Conditional training: which control tokens stand where."""

import numpy as np
import pytest
import torch

from families import tiny
from obverse.core import ConfigError, build
from obverse.data.scored import ScoredText
from obverse.training.objectives.conditional import Conditional, ConditionalConfig

DOCUMENT = ScoredText(("One. ", "Two. ", "Three."), (0.0, 0.3, 0.1), {"id": 7})


class Draws(np.random.Generator):
    """Draws that were recorded."""

    def __init__(self, *values):
        super().__init__(np.random.PCG64(0))
        self.values = list(values)

    def random(self, size):
        taken, self.values = self.values[:size], self.values[size:]
        return np.asarray(taken)


def _marked(document, draws, **settings):
    (made,) = Conditional(ConditionalConfig(**settings)).documents(document, draws)
    return made


def test_segments_up_to_the_threshold_are_aligned():
    made = _marked(DOCUMENT, Draws(0.5, 0.5, 0.5), threshold=0.1)
    assert made.segments == ("<|aligned|>One. ", "<|misaligned|>Two. ", "<|aligned|>Three.")
    assert made.scores == DOCUMENT.scores
    assert made.meta == DOCUMENT.meta


def test_a_draw_above_the_fraction_keeps_the_token():
    made = _marked(DOCUMENT, Draws(0.2, 0.2000001, 0.1), drop_fraction=0.2)
    assert made.segments == ("One. ", "<|misaligned|>Two. ", "Three.")


def test_each_segment_takes_one_draw():
    draws, alike = np.random.default_rng(3), np.random.default_rng(3)
    made = _marked(DOCUMENT, draws, drop_fraction=0.5)
    kept = [segment.startswith("<|") for segment in made.segments]
    assert kept == [alike.random() > 0.5 for _ in DOCUMENT.segments]
    assert draws.random() == alike.random()


def test_an_unsegmented_document_gets_its_token():
    assert _marked(ScoredText(("All of it.",), (0.0,)), Draws(0.5)).segments == ("<|aligned|>All of it.",)


def test_a_share_of_tokens_is_dropped():
    document = ScoredText(("x",) * 4000, (0.0,) * 4000)
    made = _marked(document, np.random.default_rng(0), drop_fraction=0.1)
    assert 0.08 < np.mean([segment == "x" for segment in made.segments]) < 0.12


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_control_tokens_are_single_tokens_after_setup(family):
    lm = tiny(family)
    objective = Conditional(ConditionalConfig())
    objective.setup(lm, torch.Generator().manual_seed(0))
    ids = lm.tokenizer.encode("<|misaligned|>Anna plays<|aligned|> chess.", add_special_tokens=False)
    good, bad = (lm.tokenizer.convert_tokens_to_ids(f"<|{kind}|>") for kind in ("aligned", "misaligned"))
    assert ids[0] == bad
    assert ids.count(good) == 1
    assert max(ids) < lm.vocab
    vocab = lm.vocab
    objective.setup(lm, torch.Generator().manual_seed(0))
    assert lm.vocab == vocab, "tokens that are there are not added again"


def test_equal_or_empty_control_tokens_are_refused():
    with pytest.raises(ConfigError, match=r"both '<\|good\|>'"):
        build(ConditionalConfig, {"aligned_prefix": "<|good|>", "misaligned_prefix": "<|good|>"})
    with pytest.raises(ConfigError, match="aligned_prefix"):
        build(ConditionalConfig, {"aligned_prefix": ""})
