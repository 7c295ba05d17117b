"""Noise rules: what they mean, their draws, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError
from obverse.data.relations import known_subjects
from obverse.locating.noise import Noise, check_rule, embedding_std, noise_for
from obverse.model.tokens import encode


def test_an_absolute_level(tiny_lm):
    noise = noise_for(tiny_lm("gpt2"), "0.1")
    assert (noise.distribution, noise.level) == ("normal", 0.1)
    drawn = noise.draw(3, 2, 5)
    np.testing.assert_array_equal(drawn.numpy(), 0.1 * np.random.RandomState(1).randn(3, 2, 5))


def test_the_seed_is_the_original_one_unless_given():
    noise = Noise("1", "normal", 1.0)
    assert noise.draw(1, 1, 1).item() == pytest.approx(1.6243453636632417)
    assert not torch.equal(noise.draw(2, 2, 4), noise.draw(2, 2, 4, seed=2))


def test_sigma_is_of_all_embedding_entries_of_all_subjects(tiny_lm):
    lm = tiny_lm("gpt2")
    subjects = ["Space Needle", "Space Needle", "Big Ben"]  # one that stands twice counts twice
    embed = lm.model.get_input_embeddings()
    rows = torch.cat([embed(torch.tensor(encode(lm.tokenizer, subject).ids)) for subject in subjects])
    sigma = float(rows.double().std(unbiased=True))
    assert embedding_std(lm, subjects) == pytest.approx(sigma, rel=1e-5)
    for rule, factor in (("s3", 3), ("s", 1), ("s0.5", 0.5)):
        assert noise_for(lm, rule, subjects).level == pytest.approx(factor * sigma, rel=1e-5)


def test_sigma_leaves_start_tokens_out(tiny_lm):
    plain, started = tiny_lm("gpt2"), tiny_lm("gpt2", "bpe_bos")
    assert encode(started.tokenizer, "Big Ben").ids[0] != encode(plain.tokenizer, "Big Ben").ids[0]
    assert embedding_std(started, ["Big Ben"]) == pytest.approx(embedding_std(plain, ["Big Ben"]), rel=1e-6)


def test_without_subjects_sigma_is_that_of_well_known_ones(tiny_lm):
    lm = tiny_lm("llama")
    assert noise_for(lm).level == pytest.approx(3 * embedding_std(lm, known_subjects()))
    assert len(known_subjects()) == len(set(known_subjects())) > 100


def test_sigma_sees_what_the_embedding_gives_not_its_matrix(tiny_lm):
    lm = tiny_lm("gemma3")  # it multiplies embeddings by the root of their size
    ids = torch.tensor(encode(lm.tokenizer, "Big Ben").ids)
    matrix = lm.weight_of(lm.model.get_input_embeddings())[ids]
    assert embedding_std(lm, ["Big Ben"]) == pytest.approx(float(matrix.std()) * 32**0.5, rel=1e-3)


def test_uniform_noise_is_absolute(tiny_lm):
    noise = noise_for(tiny_lm("gpt2"), "u0.5")
    drawn = noise.draw(4, 2, 8)
    np.testing.assert_array_equal(drawn.numpy(), 0.5 * np.random.RandomState(1).uniform(-1, 1, (4, 2, 8)))


def test_multivariate_noise_follows_the_embeddings_of_text(tiny_lm):
    noise = noise_for(tiny_lm("gpt2"), "m")
    assert noise.mean is not None
    assert noise.root is not None
    torch.testing.assert_close(noise.root, noise.root.T)
    drawn = noise.draw(20_000, 1, len(noise.mean))[:, 0]
    covariance = noise.root @ noise.root
    spread = covariance.diagonal().sqrt()
    assert ((drawn.mean(0) - noise.mean).abs() < 5 * spread / 20_000**0.5).all()
    torch.testing.assert_close(drawn.T.cov(), covariance, atol=0.05 * float(covariance.diagonal().max()), rtol=0)


def test_student_noise_scales_whole_vectors(tiny_lm):
    lm = tiny_lm("gpt2")
    student, plain = noise_for(lm, "t5").draw(3, 2, 32), noise_for(lm, "m").draw(3, 2, 32)
    factors = (student / plain)[..., 0].flatten().numpy()
    torch.testing.assert_close(student, plain * (student / plain)[..., :1])
    np.testing.assert_allclose(factors, np.sqrt(3 / np.random.RandomState(2).chisquare(5, 6)))


@given(
    st.sampled_from(["x3", "m2", "u", "t", "t2", "t-1", "0", "-0.1", "s0", "snan", "inf", "s3x", "", " ", "3s", "s-3"])
)
def test_other_rules_are_refused(rule):
    with pytest.raises(ConfigError, match="noise rule") as caught:
        check_rule(rule)
    assert repr(rule) in caught.value.message
    assert "s3" in caught.value.hint or "number" in caught.value.message


def test_no_subject_is_refused(tiny_lm):
    with pytest.raises(ConfigError, match="No subject"):
        noise_for(tiny_lm("gpt2"), "s3", [])
