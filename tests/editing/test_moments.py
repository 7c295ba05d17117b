"""Second moments: equal to the formula, kept under a complete key, resumable, in any batch size."""

import pytest
import torch

from families import tiny
from obverse.core import ConfigError, UnknownName
from obverse.editing import moments
from obverse.editing.moments import MomentConfig, SecondMoment, second_moment
from obverse.model.hooks import Site, capture
from obverse.model.tokens import encode

TEXTS = ["The Space Needle is in Seattle.", "Anna Keller plays tennis in Berlin, and chess.", "Rome.", "A b c d e f g."]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(TEXTS))
    return str(path)


def slow(lm, layer):
    site = Site(layer, "key")
    rows = [{"input_ids": torch.tensor([encode(lm.tokenizer, text).ids])} for text in TEXTS]
    flat = torch.cat([capture(lm.model, lm.architecture, row, [site])[site][0] for row in rows]).double()
    return flat.T @ flat / len(flat), len(flat)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt", "gemma3", "bloom"])
def test_equals_the_formula(family, corpus, tmp_path):
    lm = tiny(family)
    found = second_moment(lm, [0, 2], MomentConfig(corpus=corpus, tokens=10**6), cache=tmp_path)
    for layer in (0, 2):
        expected, count = slow(lm, layer)
        assert found[layer].count == count
        torch.testing.assert_close(found[layer].matrix, expected, rtol=1e-4, atol=1e-6)


def test_counts_no_more_than_asked(corpus, tmp_path):
    assert second_moment(tiny("llama"), [1], MomentConfig(corpus=corpus, tokens=17), tmp_path)[1].count == 17


def test_is_kept_and_every_setting_is_in_the_key(corpus, tmp_path, monkeypatch):
    lm = tiny("llama")
    base = MomentConfig(corpus=corpus, tokens=20)
    second_moment(lm, [1], base, tmp_path)
    calls = []
    monkeypatch.setattr(moments, "_count", lambda *_: calls.append(1) or (_ for _ in ()).throw(KeyError))
    second_moment(lm, [1], base, tmp_path)
    second_moment(lm, [1], base.model_copy(update={"ridge": 0.5}), tmp_path)  # used when solving, not when counting
    assert not calls
    for change in ({"tokens": 21}, {"length": 5}, {"seed": 1}):
        with pytest.raises(KeyError):
            second_moment(lm, [1], base.model_copy(update=change), tmp_path)
    with pytest.raises(KeyError):
        second_moment(lm, [2], base, tmp_path)
    with pytest.raises(KeyError):
        second_moment(tiny("gpt2"), [1], base, tmp_path)


def test_a_stopped_count_goes_on_where_it_was(corpus, tmp_path, monkeypatch):
    lm, config = tiny("llama"), MomentConfig(corpus=corpus, tokens=10**6)
    expected = second_moment(lm, [1], config, tmp_path / "whole")[1]
    monkeypatch.setattr(moments, "SAVE_EVERY", -1.0)
    real, runs = moments._add, []
    small = moments._batches.__wrapped__ if hasattr(moments._batches, "__wrapped__") else moments._batches
    monkeypatch.setattr(moments, "_batches", lambda lm, texts, length: small(lm, texts, length, tokens=8))

    def stop_at_third(*arguments):
        runs.append(arguments[2])
        if len(runs) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(moments, "_add", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        second_moment(lm, [1], config, tmp_path / "stopped")
    found = second_moment(lm, [1], config, tmp_path / "stopped")[1]
    assert runs[2] == runs[3]  # only the batch in flight is run again
    assert found.count == expected.count
    torch.testing.assert_close(found.matrix, expected.matrix, rtol=1e-4, atol=1e-6)
    assert not list((tmp_path / "stopped").rglob("*partial*"))


def test_solve_is_the_inverse(tmp_path):
    a = torch.randn(6, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moment = SecondMoment(a @ a.T / 20, 20, 0.0)
    key = torch.randn(6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(moment.matrix @ moment.solve(key).double(), key.double(), rtol=1e-5, atol=1e-5)


def test_few_keys_can_be_solved_with_thanks_to_the_ridge(corpus, tmp_path):
    lm = tiny("llama")
    moment = second_moment(lm, [1], MomentConfig(corpus=corpus, tokens=3), tmp_path)[1]
    assert torch.isfinite(moment.solve(torch.ones(lm.architecture.inner))).all()


def test_unknown_and_empty_corpora(tmp_path):
    with pytest.raises(UnknownName, match="docstring"):
        second_moment(tiny("llama"), [1], MomentConfig(corpus="docstring"), tmp_path)
    (tmp_path / "empty.txt").write_text("  \n\n ")
    with pytest.raises(ConfigError, match="no text"):
        second_moment(tiny("llama"), [1], MomentConfig(corpus=str(tmp_path / "empty.txt")), tmp_path)


def test_text_sampled_from_the_model_is_seeded(tmp_path):
    lm = tiny("llama")
    config = MomentConfig(corpus="model", tokens=200, length=16)
    first = second_moment(lm, [1], config, tmp_path / "a")[1]
    again = second_moment(lm, [1], config, tmp_path / "b")[1]
    other = second_moment(lm, [1], config.model_copy(update={"seed": 1}), tmp_path / "c")[1]
    assert torch.equal(first.matrix, again.matrix)
    assert not torch.equal(first.matrix, other.matrix)
    assert first.count == 200
