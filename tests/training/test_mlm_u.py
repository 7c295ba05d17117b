"""MLM-U: how many tokens are masked, how they are weighted, and that the mean is a bound of the right size."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from obverse.core import ConfigError
from obverse.training.example import IGNORED, Example, collate
from obverse.training.objectives.mlm_u import MLMU, MLMUConfig

EOS = 0


@pytest.fixture(scope="module")
def made():
    lm = tiny("gpt_neox")
    objective = MLMU(MLMUConfig())
    objective.setup(lm, torch.Generator())
    return lm, objective


@settings(max_examples=40)
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 2**32))
def test_a_masked_token_is_a_target_and_seen_by_nobody(made, ids, seed):
    example = Example.of(ids)
    found = made[1].corrupt(example, np.random.default_rng(seed))
    targets = found.labels != IGNORED
    possible = [i for i, token in enumerate(ids) if i and token != EOS]
    assert targets.any() == bool(possible)
    assert (targets == ~found.visible).all()
    assert found.labels[targets].tolist() == example.ids[targets].tolist()
    assert set(np.flatnonzero(targets)) <= set(possible)
    assert found.ids[~targets].tolist() == example.ids[~targets].tolist()
    assert found.weights[targets].sum() == pytest.approx(len(possible), rel=1e-5)  # D / |S|, |S| times
    assert (found.weights[~targets] == 1).all()


def test_every_number_of_masked_tokens_is_as_likely(made):
    rng = np.random.default_rng(0)
    counts = [(~made[1].corrupt(Example.of([EOS, 1, 2, 3, 4]), rng).visible).sum() for _ in range(1000)]
    shares = np.bincount(counts, minlength=5) / 1000
    assert shares[0] == 0
    assert shares[1:] == pytest.approx(np.full(4, 0.25), abs=0.05)


def test_the_loss_is_the_formula(made):
    """Mean over all sets of masked tokens, each size as likely, of D / |S| times the summed cost of S."""
    lm, objective = made
    ids, d = [EOS, 11, 12, 13], 3
    by_size = []
    for size in (1, 2, 3):
        totals = []
        for chosen in map(list, combinations((1, 2, 3), size)):
            labels, visible = np.full(4, IGNORED), np.ones(4, bool)
            labels[chosen], visible[chosen] = np.array(ids)[chosen], False
            hidden = replace(Example.of(ids), ids=np.where(visible, ids, objective._placeholder), labels=labels)
            hidden = replace(hidden, visible=visible)
            with torch.no_grad():
                totals.append(float(objective(lm.model, collate([hidden], EOS)).total) * d / size)
        by_size.append(np.mean(totals))
    wanted = np.mean(by_size)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        rows = [objective.corrupt(Example.of(ids), rng) for _ in range(600)]
        loss = objective(lm.model, collate(rows, EOS))
    assert float(loss.total) / 600 == pytest.approx(wanted, rel=0.08)
    assert float(loss.logs["bound"]) == pytest.approx(wanted / d, rel=0.08)


def test_the_placeholder_can_be_named():
    lm = tiny("llama")
    objective = MLMU(MLMUConfig(placeholder="~"))
    objective.setup(lm, torch.Generator())
    found = objective.corrupt(Example.of([EOS, 5]), np.random.default_rng(0))
    assert found.ids.tolist() == [EOS, lm.tokenizer.convert_tokens_to_ids("~")]
    with pytest.raises(ConfigError, match="not a token"):
        MLMU(MLMUConfig(placeholder="<|none|>")).setup(lm, torch.Generator())
