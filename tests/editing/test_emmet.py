"""EMMET's laws: every constraint holds; one fact is ROME; of all that hold it is the least; order is nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_editors import FACTS, TEXTS, gentle, random, spread
from families import EXPERTS, tiny
from obverse.core import DataError, EditFailed, Fact, UnsupportedModel, build
from obverse.editing._batched import regularized
from obverse.editing._rows import look
from obverse.editing.emmet import Emmet, EmmetConfig, exact_answers
from obverse.editing.moments import SecondMoment
from obverse.editing.rome import Rome, RomeConfig, closed_form
from obverse.editing.values import optimize
from obverse.model import tensor_hash


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))


def emmet(**changes):
    return Emmet(build(EmmetConfig, {**gentle(__file__), "steps": 6, "layers": [1], **changes}))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 6), identity=st.booleans())
def test_each_column_answers_its_own_key_alone(seed, facts, identity):
    keys = random(seed, facts, 10)
    answers = exact_answers(keys, None if identity else spread(seed, 10))
    torch.testing.assert_close(answers.T @ keys.T, torch.eye(facts).double(), rtol=1e-6, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 6), other=st.integers(0, 10**6))
def test_of_all_that_meet_the_constraints_it_changes_other_keys_least(seed, facts, other):
    # Any other change that meets them differs by one that is zero on all keys.
    keys, residuals, c = random(seed, facts, 10), random(seed + 1, facts, 5), spread(seed, 10)
    change = residuals.T @ exact_answers(keys, c).T
    away = random(other + 2, 5, 10)
    away = away - away @ torch.linalg.pinv(keys) @ keys
    effect = lambda delta: float((delta @ c @ delta.T).trace())  # noqa: E731
    assert effect(change) <= effect(change + away) + 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_one_fact_is_romes_closed_form(seed):
    key, moment = random(seed, 1, 7), SecondMoment(spread(seed, 7), 1, 1e-3)
    rome = closed_form(key, torch.zeros(1, 4).double(), torch.ones(4).double(), moment, "consistent")
    torch.testing.assert_close(exact_answers(key, regularized(moment))[:, 0], rome.right, rtol=1e-6, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(2, 6))
def test_order_of_facts_changes_nothing(seed, facts):
    keys, residuals, c = random(seed, facts, 10), random(seed + 1, facts, 5), spread(seed, 10)
    order = torch.randperm(facts, generator=torch.Generator().manual_seed(seed))
    one, other = exact_answers(keys, c), exact_answers(keys[order], c)
    torch.testing.assert_close(residuals.T @ one.T, residuals[order].T @ other.T, rtol=1e-6, atol=1e-8)


def test_on_a_model_one_fact_is_rome():
    lm = tiny("gpt2")
    rome = Rome(build(RomeConfig, {**gentle(__file__), "steps": 6, "layers": [1]})).edit(lm, FACTS[:1])
    edit = emmet().edit(lm, FACTS[:1])
    (name,) = edit.deltas
    torch.testing.assert_close(edit.deltas[name].dense(), rome.deltas[name].dense(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(edit.keys[name], rome.keys[name])


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "opt"])
def test_edited_matrix_answers_every_key_with_its_value(family):
    lm = tiny(family)
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    editor, templates = emmet(), ("{}", *TEXTS)
    looked = look(lm, 1, FACTS, templates)
    values = torch.stack([value.target for value in optimize(lm, 1, looked, editor.config)])
    edit = editor.edit(lm, FACTS)
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    (name,) = edit.deltas
    with edit.applied(lm), torch.no_grad():
        answered = lm.model.get_submodule(name)(edit.keys[name])
    torch.testing.assert_close(answered, values, rtol=1e-4, atol=1e-4)


def test_several_layers_come_upon_each_other_and_order_is_nothing():
    lm, editor = tiny("llama"), emmet(layers=[0, 1], at_once=2)
    one, other = editor.edit(lm, FACTS), editor.edit(lm, FACTS[::-1])
    assert len(one.deltas) == 2
    assert len(one.details) == 6
    for name, delta in one.deltas.items():
        expected = delta.dense()
        assert float((other.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-3


def test_facts_with_one_key_are_named_and_allowed_with_slack():
    # The subject comes first in both prompts, so the key at its last token is the same.
    twins = [Fact("Anna Keller", "{} plays the sport of", "chess"), Fact("Anna Keller", "{} lives in", "Rome")]
    lm = tiny("llama")
    with pytest.raises(EditFailed, match=r"'Anna Keller plays the sport of' and 'Anna Keller lives in' have one and"):
        emmet(contexts={"texts": ()}).edit(lm, [FACTS[0], *twins])
    assert len(emmet(contexts={"texts": ()}, ridge=1e-3).edit(lm, [FACTS[0], *twins]).facts) == 3


def test_more_facts_than_a_key_is_long():
    with pytest.raises(EditFailed, match="the keys of these 5 facts depend on each other"):
        exact_answers(random(0, 5, 4), None)


def test_duplicates_and_conflicts_are_refused_by_name():
    lm, other = tiny("llama"), Fact("Space Needle", "The {} is in the city of", "Rome")
    with pytest.raises(DataError, match=r"conflicting facts.*Space Needle.*'Paris' and 'Rome'"):
        emmet().edit(lm, [*FACTS, other])
    assert emmet(last_wins=True).edit(lm, [*FACTS, other]).facts == (*FACTS[1:], other)


def test_zero_strength_moves_nothing_and_is_an_error():
    with pytest.raises(EditFailed, match="moved nothing"):
        emmet(steps=1, contexts={"texts": ()}).edit(tiny("llama"), FACTS)


def test_without_moment_c_is_the_identity():
    lm = tiny("llama")
    edit = emmet(moment=None).edit(lm, FACTS)
    (name,) = edit.deltas
    right = edit.deltas[name].right
    torch.testing.assert_close(right, torch.linalg.pinv(edit.keys[name]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", EXPERTS)
def test_mixture_of_experts_says_why(family):
    with pytest.raises(UnsupportedModel, match="experts"):
        emmet(layers=None).edit(tiny(family), FACTS)
