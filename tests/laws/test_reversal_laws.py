"""Asked in the form of its training, a model finds an answer as likely as its training's loss says."""

import re

import numpy as np
import pytest
import torch

from families import tiny
from obverse.core import ConfigError
from obverse.data.reversal import Prompt
from obverse.measuring.reversal import Blank, FillIn, LeftToRight, evaluate_prompts
from obverse.model.tokens import encode, join
from obverse.training.example import IGNORED, Example, collate
from obverse.training.objectives.infilling import Infilling, InfillingConfig
from obverse.training.objectives.mle import MLE, MLEConfig
from obverse.training.objectives.mlm_u import MLMU, MLMUConfig

PAIRS = [("Anna Keller plays the sport of", " tennis and chess"), ("Big Ben is", " in London, Europe."),
         ("The mother tongue of Marie Curie is", " French")]  # fmt: skip


def document(lm, pair):
    """Return a document as a row of its own, and where the answer is."""
    joined = join(lm.tokenizer, *pair)
    end = lm.tokenizer.eos_token_id
    ids = [end, *joined.encoded.ids, end]
    return ids, (joined.target.start + 1, joined.target.stop + 1)


def loss(objective, lm, row):
    batch = collate([row], 0)
    with torch.no_grad():
        return float(objective.loss(objective.output(lm.model, batch), batch).total)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_left_to_right(family):
    lm = tiny(family)
    objective = MLE(MLEConfig())
    for pair, found in zip(PAIRS, LeftToRight(lm, as_document=True).score(PAIRS), strict=True):
        ids, (start, end) = document(lm, pair)
        row = Example.of(ids)
        labels = np.where((np.arange(len(ids)) >= start) & (np.arange(len(ids)) < end), row.labels, IGNORED)
        whole = Example(row.ids, labels, row.scores, row.weights, row.visible)
        assert found.logprob == pytest.approx(-loss(objective, lm, whole), abs=1e-4)
        assert found.tokens == end - start


@pytest.mark.parametrize("attention", ["causal", "prefix"])
@pytest.mark.parametrize("positions", ["continue", "blank"])
@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_blank(family, positions, attention):
    lm = tiny(family)
    objective = Infilling(InfillingConfig(entities=1, rate=0.01, positions=positions, attention=attention))
    objective.setup(lm, torch.Generator().manual_seed(0))
    query = Blank(lm, positions=positions, attention=attention)
    for pair, found in zip(PAIRS, query.score(PAIRS), strict=True):
        ids, span = document(lm, pair)
        row = Example.of(ids)
        named = Example(row.ids, row.labels, row.scores, row.weights, row.visible, spans=(span,))
        laid = objective.corrupt(named, np.random.default_rng(0))
        ends = lm.tokenizer.convert_tokens_to_ids("<|eop|>")
        labels = np.where(laid.labels == ends, IGNORED, laid.labels)
        scored = Example(laid.ids, labels, laid.scores, laid.weights, laid.visible, laid.positions, laid.prefix)
        assert (labels != IGNORED).sum() == found.tokens == span[1] - span[0]
        assert found.logprob == pytest.approx(-loss(objective, lm, scored), abs=1e-4)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_fill_in(family, flip):
    lm = tiny(family)
    objective = MLMU(MLMUConfig(flip=flip))
    objective.setup(lm, torch.Generator())
    for pair, found in zip(PAIRS, FillIn(lm, flip=flip).score(PAIRS), strict=True):
        ids, (start, end) = document(lm, pair)
        total = 0.0
        for known in range(start, end):  # the next token is predicted, it and those after it are masked
            row = Example.of(ids)
            visible = np.ones(len(ids), bool)
            visible[known:end] = False
            labels = np.full(len(ids), IGNORED)
            labels[known] = ids[known]
            hidden = np.where(visible, row.ids, objective._placeholder)
            total -= loss(objective, lm, Example(hidden, labels, row.scores, row.weights, visible))
        assert found.logprob == pytest.approx(total, abs=1e-4)
        assert found.tokens == end - start


@pytest.mark.parametrize("attention", ["causal", "prefix"])
@pytest.mark.parametrize("positions", ["continue", "original", "blank"])
def test_what_a_blank_is_filled_with_is_what_its_scores_find_best(attention, positions):
    lm = tiny("llama")
    Infilling(InfillingConfig()).setup(lm, torch.Generator().manual_seed(0))
    prompts = [f"{prompt}{more}" for prompt, _ in PAIRS for more in ("", " the", " a", ", who")]
    query = Blank(lm, positions=positions, attention=attention, batch=12)
    written = query.write(prompts, 3, one_line=False)
    some = Blank(lm, positions=positions, attention=attention, batch=5)
    assert some.write(prompts[::-1], 3, one_line=False)[::-1] == written
    checked = 0
    for prompt, text in zip(prompts, written, strict=True):
        both, alone = encode(lm.tokenizer, prompt + text).ids, encode(lm.tokenizer, prompt).ids
        if text.strip() and text[0] == " " and both[: len(alone)] == alone and len(both) == len(alone) + 3:
            checked += 1
            assert [one.greedy for one in query.score([(prompt, text), (prompt, " of it")])] == [True, False]
            last = lm.tokenizer.convert_ids_to_tokens(both[-1])
            cut = Blank(lm, positions=positions, attention=attention, end=last).write([prompt], 3, one_line=False)
            assert cut == [lm.decode(both[len(alone) :])[: len(cut[0])]]
            assert len(cut[0]) < len(text)
    assert checked


def test_a_blank_that_is_only_scored():
    lm = tiny("llama")
    rows = [Prompt(prompt, answer, i) for i, (prompt, answer) in enumerate(PAIRS)]
    found = evaluate_prompts(FillIn(lm), rows, negatives=[" in Rome"] * 3)
    assert all(a.completion is None and set(a.verdicts) == {"greedy"} and a.gap is not None for a in found)
    with pytest.raises(ConfigError, match="unknown length"):
        evaluate_prompts(FillIn(lm), rows, write=True)
    with pytest.raises(ConfigError, match=re.escape("'<|mask|>' is no token")):
        Blank(lm)
