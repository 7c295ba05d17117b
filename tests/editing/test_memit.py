"""MEMIT's laws: with one fact, one layer and λ → 0 it is ROME; both solutions agree; order is nothing; bits stay."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_editors import FACTS, gentle, random, spread
from families import DENSE, EXPERTS, tiny
from obverse.core import DataError, EditFailed, Fact, UnsupportedModel, build
from obverse.editing._batched import regularized
from obverse.editing._range import read_layer, states_to_reach, unwritten
from obverse.editing._rows import mlp_write
from obverse.editing.edit import Dense, LowRank
from obverse.editing.memit import Memit, MemitConfig, ridge_answers
from obverse.editing.moments import SecondMoment
from obverse.editing.rome import Rome, RomeConfig, closed_form
from obverse.measuring import likelihoods
from obverse.model import tensor_hash


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))


def memit(**changes):
    return Memit(build(MemitConfig, {**gentle(__file__), "steps": 6, **changes}))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 14), inner=st.integers(2, 9), weight=st.floats(1e-3, 1e3))
def test_solution_is_the_papers_formula(seed, facts, inner, weight):
    # Also with more facts than a key is long, where it is solved in the other space.
    keys, c = random(seed, facts, inner), spread(seed, inner)
    slow = torch.linalg.inv(weight * c + keys.T @ keys) @ keys.T
    torch.testing.assert_close(ridge_answers(keys, c, weight), slow, rtol=1e-6, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), inner=st.integers(2, 9))
def test_one_fact_without_ridge_is_romes_closed_form(seed, inner):
    key, moment = random(seed, 1, inner), SecondMoment(spread(seed, inner), 1, 1e-3)
    rome = closed_form(key, torch.zeros(1, 4).double(), torch.ones(4).double(), moment, "consistent")
    torch.testing.assert_close(ridge_answers(key, regularized(moment), 1e-12)[:, 0], rome.right, rtol=1e-6, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(2, 6))
def test_order_of_facts_changes_nothing(seed, facts):
    keys, residuals, c = random(seed, facts, 8), random(seed + 1, facts, 5), spread(seed, 8)
    order = torch.randperm(facts, generator=torch.Generator().manual_seed(seed))
    one = residuals.T @ ridge_answers(keys, c, 2.0).T
    other = residuals[order].T @ ridge_answers(keys[order], c, 2.0).T
    torch.testing.assert_close(one, other)


def test_on_a_model_one_fact_one_layer_and_no_ridge_is_rome():
    lm, same = tiny("llama"), {"layers": [1], "contexts": {"texts": ()}, "clamp": 100.0, "steps": 6}
    rome = Rome(build(RomeConfig, {**gentle(__file__), **same, "key": "prompt-key"})).edit(lm, FACTS[:1])
    edit = memit(**same, moment_weight=1e-9).edit(lm, FACTS[:1])
    (name,) = edit.deltas
    expected = rome.deltas[name].dense()
    assert float((edit.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-3


def test_order_on_a_model_and_bits_of_the_model():
    lm = tiny("gpt2")
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    editor = memit(layers=[0, 1], at_once=2)
    one, other = editor.edit(lm, FACTS), editor.edit(lm, FACTS[::-1])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert set(one.deltas) == {lm.architecture.mlp_out(0), lm.architecture.mlp_out(1)}
    assert one.facts == FACTS
    for name, delta in one.deltas.items():
        expected = delta.dense()
        assert float((other.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize("family", DENSE)
def test_every_family_comes_nearer_to_the_target(family):
    lm = tiny(family)
    pairs = [(fact.text, fact.target) for fact in FACTS]
    old = sum(found.total for found in likelihoods(lm, pairs))
    edit = memit(layers=[0, 1], moment_weight=0.01, contexts={"texts": ()}).edit(lm, FACTS)
    with edit.applied(lm):
        new = sum(found.total for found in likelihoods(lm, pairs))
    assert new > old
    for detail in edit.details:
        assert len(detail["missing_before_each_layer"]) == 2


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "bloom"])
def test_without_ridge_the_last_layer_brings_every_state_to_z(family):
    # The layers below may do what they like: the last takes all that is still missing.
    lm, editor = tiny(family), memit(layers=[0, 1, 2], moment_weight=1e-9, contexts={"texts": ()})
    parts, _, z = states_to_reach(lm, 2, FACTS, ("{}",), editor.config)
    start = read_layer(lm, parts, 2, 2)[2]
    with editor.edit(lm, FACTS).applied(lm):
        reached = read_layer(lm, parts, 2, 2)[2]
    assert float((reached - z).norm() / (start - z).norm()) < 1e-3


def test_a_norm_behind_the_projection_is_written_through():
    lm = tiny("gemma3")
    with torch.no_grad():
        norm = lm.model.get_submodule(f"{lm.architecture.block(1)}.{lm.architecture.layout.mlp_write}")
        norm.weight.copy_(torch.linspace(-0.5, 2.0, len(norm.weight)))
    write, values = mlp_write(lm, 1), random(0, 4, lm.architecture.hidden).float()
    # Something a norm can write, as it comes from another value.
    wanted = write(values + 0.3 * random(1, *values.shape).float()) - write(values)
    change = unwritten(lm, 1, values, wanted)
    missing = write(values + change) - write(values) - wanted
    assert float(missing.norm() / wanted.norm()) < 0.05


def test_duplicates_and_conflicts_are_refused_by_name():
    lm, editor = tiny("llama"), memit(layers=[1])
    with pytest.raises(DataError, match=r"duplicate facts.*Space Needle"):
        editor.edit(lm, [*FACTS, FACTS[0]])
    other = Fact("Space Needle", "The {} is in the city of", "Rome")
    with pytest.raises(DataError, match=r"conflicting facts.*Space Needle.*'Paris' and 'Rome'"):
        editor.edit(lm, [*FACTS, other])
    with pytest.raises(DataError, match="no facts"):
        editor.edit(lm, [])
    last = memit(layers=[1], last_wins=True).edit(lm, [*FACTS, other])
    assert last.facts == (*FACTS[1:], other)


def test_many_facts_make_one_dense_change_where_that_is_smaller():
    lm = tiny("llama")
    facts = [Fact(f"Hall {number}", "{} lies in", "Rome") for number in range(20)]
    few, many = (memit(steps=2, layers=[1]).edit(lm, some) for some in (facts[:19], facts))
    (name,) = many.deltas
    assert isinstance(few.deltas[name], LowRank)
    assert isinstance(many.deltas[name], Dense)
    assert many.keys[name].shape == (20, lm.architecture.inner)


def test_zero_strength_moves_nothing_and_is_an_error():
    with pytest.raises(EditFailed, match="3 facts moved nothing"):
        memit(steps=1, layers=[1]).edit(tiny("llama"), FACTS)


def test_nan_refuses_the_edit_and_leaves_the_model():
    lm = tiny("llama")
    lm.model.get_submodule("model.layers.2.mlp.down_proj").weight[0, 0] = float("nan")
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    with pytest.raises(EditFailed, match="nan"):
        memit(layers=[0, 1]).edit(lm, FACTS)
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert not any(module._forward_hooks for module in lm.model.modules())


@pytest.mark.parametrize("family", EXPERTS)
def test_mixture_of_experts_says_why(family):
    with pytest.raises(UnsupportedModel, match="experts"):
        memit().edit(tiny(family), FACTS)
