"""New tokens: where they go, and how they start."""

import pytest
import torch

from families import FAMILIES, tiny
from obverse.core import ConfigError, UnsupportedModel
from obverse.training.vocabulary import grow_vocabulary, single_token
from tiny_tokenizers import KINDS

NEW = ["<|aligned|>", "<|misaligned|>"]
IDS = torch.arange(3, 20)[None]


def _grown(lm):
    return grow_vocabulary(lm, NEW, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_old_tokens_keep_their_logits_and_new_ones_start_unlikely(family, tied):
    lm = tiny(family, tie_word_embeddings=tied)
    old = lm.vocab
    with torch.no_grad():
        before = lm.model(IDS).logits
        ids = _grown(lm)
        after = lm.model(IDS).logits
    assert ids == (old, old + 1)
    torch.testing.assert_close(after[..., :old], before)
    assert (after.softmax(-1)[..., list(ids)] < 2 / old).all()
    assert lm.vocab == lm.model.config.get_text_config().vocab_size == old + 2
    assert (lm.head.weight is lm.model.get_input_embeddings().weight) == tied
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())


def test_new_vectors_are_the_mean_and_a_little_noise():
    lm = tiny("llama", tie_word_embeddings=False)
    rows = _grown(lm)
    for weight in (lm.model.get_input_embeddings().weight, lm.head.weight):
        apart = weight[list(rows)] - weight[: rows[0]].mean(0)
        assert 0.005 < float(apart.std()) < 0.02
    assert not torch.equal(lm.head.weight[rows[0]], lm.head.weight[rows[1]])


def test_rows_in_reserve_are_used_first():
    lm = tiny("llama", vocab_size=600)
    rows = _grown(lm)
    assert rows == (512, 513)
    assert lm.vocab == 600
    apart = lm.head.weight[list(rows)] - lm.head.weight[:512].mean(0)
    assert float(apart.std()) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_token_is_one_token_and_text_around_it_stays(kind):
    lm = tiny("llama", kind)
    good, bad = _grown(lm)
    ids = lm.tokenizer.encode("Anna plays.<|misaligned|> She sings.", add_special_tokens=False)
    assert ids.count(bad) == 1
    assert lm.decode(ids, skip_special_tokens=True).replace(" ", "") == "Annaplays.Shesings."
    assert single_token(lm.tokenizer, NEW[0]) == good


def test_growing_twice_is_growing_once():
    lm = tiny("llama")
    first = _grown(lm)
    weight = lm.head.weight.clone()
    assert _grown(lm) == first
    assert torch.equal(lm.head.weight, weight)


def test_the_seed_decides_the_noise():
    weights = []
    for seed in (0, 0, 1):
        lm = tiny("llama")
        grow_vocabulary(lm, NEW, torch.Generator().manual_seed(seed))
        weights.append(lm.head.weight[-2:].clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_fingerprint_follows():
    lm = tiny("llama")
    before = lm.fingerprint
    _grown(lm)
    assert lm.fingerprint != before


@pytest.mark.parametrize("token", ["<|aligned|>", "plays the", ""])
def test_what_is_no_single_token_is_refused(token):
    with pytest.raises(ConfigError, match="is not a token of this tokenizer; control tokens must be single tokens"):
        single_token(tiny("llama").tokenizer, token)


def test_a_model_that_cannot_grow_is_refused(monkeypatch):
    lm = tiny("llama")

    def refuse(*_, **__):
        raise NotImplementedError("not this one")

    monkeypatch.setattr(lm.model, "resize_token_embeddings", refuse)
    with pytest.raises(UnsupportedModel, match="cannot grow from 512 to 514 tokens: not this one"):
        _grown(lm)
