"""BICO's masking and its loss; its attention is tested in tests/laws/test_bico.py."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.eager_bico import EagerBICO
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from obverse.core import ConfigError
from obverse.training._predicted import only_predicted, predicted_loss
from obverse.training.example import IGNORED, Example, collate
from obverse.training.objectives.bico import BICO, BICOConfig, placeholder_id
from tiny_tokenizers import tokenizer

BOS, EOS, UNKNOWN = "<s>", "</s>", "<unk>"


@pytest.fixture(scope="module")
def made():
    lm = tiny("llama", "unigram")
    objective = BICO(BICOConfig())
    objective.setup(lm, torch.Generator())
    return lm, objective


@pytest.fixture(scope="module")
def whole_names(made):
    objective = BICO(BICOConfig(entities=1))
    objective.setup(made[0], torch.Generator())
    return objective


@settings(max_examples=40)
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 2**32))
def test_content_is_masked_and_nothing_else(made, ids, seed):
    lm, objective = made
    example = Example.of(ids)
    found = objective.corrupt(example, np.random.default_rng(seed))
    again = objective.corrupt(example, np.random.default_rng(seed))
    masked = found.labels != IGNORED
    special = lm.tokenizer.convert_tokens_to_ids([BOS, EOS, UNKNOWN])
    possible = {i for i, token in enumerate(ids) if i and token not in special}
    assert masked.any() == bool(possible)  # an empty set is drawn anew
    assert set(np.flatnonzero(masked)) <= possible
    assert (masked == ~found.visible).all()
    assert found.labels[masked].tolist() == example.ids[masked].tolist()
    assert (found.ids[masked] == objective.placeholder).all()
    assert found.ids[~masked].tolist() == example.ids[~masked].tolist()
    assert found.ids.tolist() == again.ids.tolist()


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.6])
def test_each_token_is_masked_with_the_rate(made, rate):
    objective = BICO(BICOConfig(rate=rate))
    objective.setup(made[0], torch.Generator())
    found = objective.corrupt(Example.of([1, *[50] * 20_000]), np.random.default_rng(0))
    assert (~found.visible).mean() == pytest.approx(rate, abs=4 * (rate * (1 - rate) / 20_000) ** 0.5)


@st.composite
def rows_with_names(draw):
    """A row of content tokens after the start, and where names stand in it, apart from each other."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=6))
    spans, place = [], 1
    for before, length in lengths:
        spans.append((place + before, place + before + length))
        place = spans[-1][1]
    row = Example.of([1, *range(50, 50 + place + draw(st.integers(0, 3)))])
    return replace(row, spans=tuple(spans))


@settings(max_examples=40)
@given(rows_with_names(), st.integers(0, 2**32))
def test_one_whole_name_is_masked_and_nothing_else(whole_names, row, seed):
    found = whole_names.corrupt(row, np.random.default_rng(seed))
    masked = np.flatnonzero(~found.visible).tolist()
    assert masked in [list(range(start, end)) for start, end in row.spans]
    assert np.flatnonzero(found.labels != IGNORED).tolist() == masked


@settings(max_examples=20)
@given(rows_with_names(), st.integers(0, 2**32))
def test_names_are_nothing_special_by_default_or_where_none_can_be_predicted(made, whole_names, row, seed):
    plain = made[1].corrupt(replace(row, spans=()), np.random.default_rng(seed))
    assert made[1].corrupt(row, np.random.default_rng(seed)).ids.tolist() == plain.ids.tolist()
    start = replace(row, spans=((0, row.spans[0][1]),))  # nothing stands before the first token to read it off
    assert whole_names.corrupt(start, np.random.default_rng(seed)).ids.tolist() == plain.ids.tolist()


def test_every_name_and_single_tokens_have_their_share(made):
    objective = BICO(BICOConfig(entities=0.5))
    objective.setup(made[0], torch.Generator())
    row = replace(Example.of([1, *range(50, 90)]), spans=((2, 4), (10, 12)))
    found = [np.flatnonzero(~objective.corrupt(row, np.random.default_rng(i)).visible).tolist() for i in range(400)]
    assert found.count([2, 3]) == pytest.approx(100, abs=35)  # four standard deviations
    assert found.count([10, 11]) == pytest.approx(100, abs=35)


def test_what_is_not_to_be_predicted_is_not_masked(made):
    """As the prompt of a fine-tuning pair, whose labels are ignored."""
    labels = np.array([IGNORED] * 30 + [50] * 10)
    row = Example(np.full(40, 50), labels, np.zeros(40), np.ones(40), np.ones(40, bool))
    for seed in range(20):
        assert made[1].corrupt(row, np.random.default_rng(seed)).visible[:30].all()


def batch_of(objective, rows, weight=1.0):
    batch = collate([objective.corrupt(Example.of(row), np.random.default_rng(i)) for i, row in enumerate(rows)], 3)
    batch["token_weights"] *= weight
    return batch


ROWS = ([1, *range(50, 75)], [1, *range(90, 99)], [1, *range(110, 140)])


def test_the_loss_is_the_mean_cost_of_the_masked_tokens(made):
    lm, objective = made
    batch = batch_of(objective, ROWS)
    loss = objective(lm.model, batch)
    with torch.no_grad(), objective._sides.seen(batch["attention_mask"].bool()):
        logprobs = lm.model(input_ids=batch["input_ids"]).logits.log_softmax(-1)
    costs = [
        -logprobs[row, position - 1, batch["labels"][row, position]]
        for row, position in (batch["labels"] != IGNORED).nonzero().tolist()
    ]
    assert int(loss.count) == len(costs)
    torch.testing.assert_close(loss.mean, torch.stack(costs).mean())
    torch.testing.assert_close(objective(lm.model, batch_of(objective, ROWS, 0.5)).total, loss.total / 2)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "opt_projected", "cohere", "gptj"])
def test_logits_that_nobody_asks_for_change_no_gradient(family):
    lm = tiny(family)
    lm.model.requires_grad_(True)
    objective = BICO(BICOConfig())
    objective.setup(lm, torch.Generator())
    batch = batch_of(objective, ROWS)
    gradients = []
    for head in (None, lm.model.get_output_embeddings()):
        lm.model.zero_grad()
        with objective._sides.seen(batch["attention_mask"].bool()), only_predicted(head, batch):
            logits = lm.model(input_ids=batch["input_ids"], use_cache=False).logits
        assert logits.shape[:2] == (batch["labels"].shape if head is None else (1, (batch["labels"] != IGNORED).sum()))
        predicted_loss(logits, batch).total.backward()
        gradients.append([p.grad.clone() for p in lm.model.parameters() if p.grad is not None])
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4)


def test_the_flip_and_the_kernels_are_settings(made):
    lm, objective = made
    batch = batch_of(objective, ROWS)
    losses = {}
    for name, config in {"plain": BICOConfig(flip=False), "eager": BICOConfig(fused=False)}.items():
        other = BICO(config)
        other.setup(lm, torch.Generator())
        losses[name] = other(lm.model, batch).mean
    torch.testing.assert_close(losses["eager"], objective(lm.model, batch).mean)
    assert abs(losses["plain"] - losses["eager"]) > 1e-3


def test_the_released_program_written_out_costs_the_same():
    """The baseline of benchmarks/train.py, which shares no attention with what it is compared with."""
    lm = tiny("llama")
    lm.model.requires_grad_(True)
    found = []
    for kind in (BICO, EagerBICO):
        objective = kind(BICOConfig())
        objective.setup(lm, torch.Generator())
        lm.model.zero_grad()
        loss = objective(lm.model, batch_of(objective, ROWS))
        loss.total.backward()
        found.append((loss.count, loss.total.detach(), *(p.grad.clone() for p in lm.model.parameters())))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


def test_a_batch_without_a_token_to_predict_costs_nothing(made):
    lm, objective = made
    lm.model.requires_grad_(True)
    loss = objective(lm.model, batch_of(objective, [[1], [1, 1]]))
    loss.total.backward()
    assert (float(loss.total.detach()), int(loss.count)) == (0, 0)
    assert all(float(p.grad.abs().sum()) == 0 for p in lm.model.parameters() if p.grad is not None)
    lm.model.requires_grad_(False)


def test_the_placeholder_is_recorded(made, caplog):
    lm, objective = made
    with caplog.at_level(logging.INFO):
        objective.setup(lm, torch.Generator())
    assert objective.placeholder == lm.tokenizer.eos_token_id
    assert f"BICO puts token {lm.tokenizer.eos_token_id}, '</s>', in the place of masked ones." in caplog.text


def test_the_placeholder_is_chosen_in_order():
    plain = tokenizer("bpe")
    assert plain.unk_token is None
    assert placeholder_id(plain, None) == plain.convert_tokens_to_ids(plain.pad_token or plain.eos_token)
    assert placeholder_id(plain, "<|endoftext|>") == plain.eos_token_id
    known = tokenizer("unigram")
    known.unk_token = UNKNOWN
    assert placeholder_id(known, None) == known.convert_tokens_to_ids(UNKNOWN) != known.eos_token_id
    with pytest.raises(ConfigError, match="'no such token' is not a token of this tokenizer"):
        placeholder_id(plain, "no such token")
    plain.pad_token = plain.eos_token = None
    with pytest.raises(ConfigError, match=r"none can stand for a masked token.*\nName one: placeholder=TOKEN"):
        placeholder_id(plain, None)
