"""KL from a reference: 0 from itself, right on a model whose divergence is known, whatever the batch."""

import json
import math

import pytest
import torch

from families import tiny
from obverse.core import ConfigError, DataError
from obverse.measuring.model_source import ModelSource
from obverse.measuring.reference_kl import Drawn, cached_draws, divergence
from obverse.measuring.samples import ids_of
from obverse.model.language_model import LanguageModel

CONTROL = ["<|aligned|>", "<|misaligned|>"]


@pytest.fixture(scope="module")
def changed():
    """The tiny GPT-2 with other weights in one place."""
    lm = tiny("gpt2")
    lm.model.lm_head.weight.add_(
        0.1 * torch.randn(lm.model.lm_head.weight.shape, generator=torch.Generator().manual_seed(1))
    )
    return lm


@pytest.fixture(scope="module")
def conditional():
    lm = tiny("gpt2", vocab_size=514)
    lm.tokenizer.add_special_tokens({"additional_special_tokens": CONTROL})
    return lm


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("prefix", ["", "The Prado"])
def test_a_model_does_not_differ_from_itself(tiny_lm, tmp_path, direction, prefix):
    source = ModelSource(tiny_lm("gpt2"), prefix=prefix)
    found = divergence(source, source, number=20, length=9, direction=direction, cache=tmp_path)
    assert found.values == (0.0,) * 20
    assert found.by_ids


def next_token_kl(first: LanguageModel, second: LanguageModel) -> float:
    """KL of one token, from the definition."""
    ids = torch.tensor([[first.tokenizer.eos_token_id]])
    p, q = (lm.model(ids).logits[0, -1].double().log_softmax(-1) for lm in (first, second))
    return float((p.exp() * (p - q)).sum())


def test_one_token_is_the_definition(tiny_lm, changed, tmp_path):
    lm, number = tiny_lm("gpt2"), 600
    forward = divergence(
        ModelSource(changed, batch=600), ModelSource(lm, batch=600), number=number, length=1, cache=tmp_path
    )
    reverse = divergence(
        ModelSource(changed, batch=600), ModelSource(lm), number=number, length=1, direction="reverse", cache=tmp_path
    )
    for found, exact in ((forward, next_token_kl(lm, changed)), (reverse, next_token_kl(changed, lm))):
        assert exact > 0.01
        half = (found.nats.high - found.nats.low) / 2
        assert abs(found.nats.mean - exact) < 2.5 * half
        assert found.per_token.mean == pytest.approx(found.nats.mean)
        assert found.nats.n == number


@pytest.mark.parametrize("by_ids", [True, False])
def test_masks_are_right_whatever_the_company(tiny_lm, by_ids):
    lm = tiny_lm("llama")
    source = ModelSource(lm, prefix="Anna")
    drawn = source.draw(12, 10, 3)
    assert len({one.tokens for one in drawn} | {len(one.text) for one in drawn}) > 3
    together = source.logprobs(drawn, by_ids=by_ids)
    alone = [source.logprobs([one], by_ids=by_ids)[0] for one in drawn]
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_end_is_a_token_where_tokens_are_compared(tiny_lm):
    lm = tiny_lm("gpt2")
    source = ModelSource(lm)
    value = source.logprobs([Drawn("", 1, (0,))], by_ids=True)[0]
    logits = lm.model(torch.tensor([[0]])).logits[0, -1]
    assert value == pytest.approx(float(logits.log_softmax(-1)[0]), abs=1e-5)
    assert source.logprobs([Drawn("", 1, (0,))], by_ids=False) == [0.0]


def test_a_prefix_is_conditioned_on_and_not_charged(conditional):
    drawn = [Drawn("Anna Keller\nplays", 1)]
    plain, with_prefix, lines = (
        ModelSource(conditional, **settings).logprobs(drawn, by_ids=False)[0]
        for settings in ({}, {"prefix": CONTROL[0]}, {"prefix": CONTROL[0], "every_line": True})
    )
    assert len({round(value, 3) for value in (plain, with_prefix, lines)}) == 3
    text = "<|endoftext|><|aligned|>Anna Keller\n<|aligned|>plays"
    ids = torch.tensor([conditional.tokenizer(text)["input_ids"]])
    found = conditional.model(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    control = ids_of(conditional.tokenizer, CONTROL)[0]
    assert lines == pytest.approx(float(found[ids[0, 1:] != control].sum()), abs=1e-4)


def test_banned_tokens_are_left_out_of_the_distribution(conditional, tiny_lm, tmp_path):
    source = ModelSource(conditional, prefix=CONTROL[0], banned=CONTROL)
    drawn = source.draw(30, 8, 0)
    assert not {*ids_of(conditional.tokenizer, CONTROL)} & {i for one in drawn for i in one.ids}
    mass = sum(
        math.exp(value)
        for value in source.logprobs([Drawn("", 1, (i,)) for i in range(512)], by_ids=True)
    )  # fmt: skip
    assert mass == pytest.approx(1, abs=1e-4)
    reverse = divergence(source, ModelSource(tiny_lm("gpt2")), number=9, length=5, direction="reverse", cache=tmp_path)
    assert reverse.by_ids  # but for control tokens the vocabularies are one
    with pytest.raises(DataError, match="no finite probability"):
        plain = ModelSource(conditional)
        plain.draw = lambda *_: [Drawn(CONTROL[0], 1, (512,))] * 2
        divergence(source, plain, number=2, length=1, cache=tmp_path / "other")


def test_other_vocabularies_are_compared_as_text(tiny_lm, tmp_path):
    found = divergence(
        ModelSource(tiny("llama", "metaspace")), ModelSource(tiny_lm("gpt2")), number=6, length=6, cache=tmp_path
    )
    assert not found.by_ids
    assert all(math.isfinite(value) for value in found.values)


def test_texts_are_cached_by_all_that_they_depend_on(tiny_lm, changed, tmp_path, monkeypatch):
    source = ModelSource(tiny_lm("gpt2"))
    first = cached_draws(source, 5, 6, 0, tmp_path)
    drawn = []
    monkeypatch.setattr(ModelSource, "draw", lambda self, *asked: drawn.append(asked) or [Drawn("x", 1, (7,))])
    assert cached_draws(source, 5, 6, 0, tmp_path) == first
    assert drawn == []
    others = [(source, 4, 6, 0), (source, 5, 7, 0), (source, 5, 6, 1), (ModelSource(changed), 5, 6, 0),
              (ModelSource(source.lm, prefix="The"), 5, 6, 0)]  # fmt: skip
    for count, other in enumerate(others, start=1):
        cached_draws(*other, tmp_path)
        assert len(drawn) == count
    (tmp_path / "reference-texts").rename(tmp_path / "old")
    for path in (tmp_path / "old").iterdir():
        content = json.loads(path.read_text("utf-8"))
        assert len(content["drawn"]) in (1, 5)


def test_a_damaged_cache_is_drawn_anew(tiny_lm, tmp_path):
    source = ModelSource(tiny_lm("gpt2"))
    first = cached_draws(source, 3, 4, 0, tmp_path)
    (path,) = (tmp_path / "reference-texts").iterdir()
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    assert cached_draws(source, 3, 4, 0, tmp_path) == first


def test_what_cannot_be_is_refused(tiny_lm):
    with pytest.raises(ConfigError, match="no token of the model's"):
        ModelSource(tiny_lm("gpt2"), banned=CONTROL)
    with pytest.raises(ConfigError, match="no token of the model's"):
        ModelSource(tiny_lm("gpt2"), prefix=CONTROL[0])
    with pytest.raises(DataError, match="reads 128"):
        ModelSource(tiny_lm("gpt2")).logprobs([Drawn("word " * 99, 1)], by_ids=False)
