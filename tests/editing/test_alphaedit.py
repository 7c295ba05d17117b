"""AlphaEdit's laws: preserved keys are answered as before; new ones are met; earlier edits' keys are kept."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from batched_editors import FACTS, gentle, random
from families import EXPERTS, tiny
from obverse.core import DataError, EditFailed, Fact, UnsupportedModel, build
from obverse.editing.alphaedit import AlphaEdit, AlphaEditConfig, kept_directions, projected_answers
from obverse.editing.moments import SecondMoment, second_moment
from obverse.model import tensor_hash


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))


def alphaedit(**changes):
    return AlphaEdit(build(AlphaEditConfig, {**gentle(__file__), "steps": 6, "layers": [0, 1], **changes}))


def plain_text(seed, rank, inner=12):
    """Return keys of a few directions only, and their second moment."""
    keys = random(seed, 40, rank) @ random(seed + 1, rank, inner)
    return keys, SecondMoment(keys.T @ keys / len(keys), len(keys), 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 4), rank=st.integers(1, 7))
def test_preserved_keys_are_answered_as_before_and_new_ones_are_met(seed, facts, rank):
    preserved, moment = plain_text(seed, rank)
    keys, residuals = random(seed + 2, facts, 12), random(seed + 3, facts, 5)
    kept = kept_directions(moment, 1e-9)
    assert kept.shape == (12, rank)
    change = residuals.T @ projected_answers(keys, keys[:0], kept, 1e-10).T
    torch.testing.assert_close(change @ preserved.T, torch.zeros(5, 40).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(change @ keys.T, residuals.T, rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 9), earlier=st.integers(0, 15), ridge=st.floats(1e-2, 1e2))
def test_solution_is_the_papers_formula(seed, facts, earlier, ridge):
    # Also with more keys than they are long, where it is solved in the other space.
    _, moment = plain_text(seed, 4)
    kept = kept_directions(moment, 1e-9)
    new, old, p = random(seed + 2, facts, 12), random(seed + 3, earlier, 12), torch.eye(12).double() - kept @ kept.T
    slow = new @ p @ torch.linalg.inv((old.T @ old + new.T @ new) @ p + ridge * torch.eye(12).double())
    torch.testing.assert_close(projected_answers(new, old, kept, ridge), slow.T, rtol=1e-6, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(1, 3), earlier=st.integers(1, 3))
def test_keys_of_earlier_edits_are_answered_as_they_are(seed, facts, earlier):
    _, moment = plain_text(seed, 4)
    new, old = random(seed + 2, facts, 12), random(seed + 3, earlier, 12)
    answers = projected_answers(new, old, kept_directions(moment, 1e-9), 1e-10)
    torch.testing.assert_close(answers.T @ old.T, torch.zeros(facts, earlier).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(answers.T @ new.T, torch.eye(facts).double(), rtol=0, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), facts=st.integers(2, 6))
def test_order_of_facts_changes_nothing(seed, facts):
    _, moment = plain_text(seed, 5)
    keys, residuals, kept = random(seed, facts, 12), random(seed + 1, facts, 5), kept_directions(moment, 1e-9)
    order = torch.randperm(facts, generator=torch.Generator().manual_seed(seed))
    one = residuals.T @ projected_answers(keys, keys[:0], kept, 0.1).T
    other = residuals[order].T @ projected_answers(keys[order], keys[:0], kept, 0.1).T
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "opt"])
def test_on_a_model_directions_of_plain_text_stay_and_so_do_its_bits(family):
    lm, editor = tiny(family), alphaedit()
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    edit = editor.edit(lm, FACTS)
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    moments = second_moment(lm, [0, 1], editor.config.moment)
    for layer, moment in moments.items():
        eigenvalues, eigenvectors = torch.linalg.eigh(moment.matrix)
        kept = eigenvectors[:, eigenvalues >= eigenvalues.mean()]
        change = edit.deltas[lm.architecture.mlp_out(layer)].dense().double()
        assert kept.shape[1] > 0
        assert float((change @ kept).norm() / change.norm()) < 1e-4


def test_keys_of_edits_it_comes_upon_are_less_disturbed():
    lm, editor = tiny("llama"), alphaedit(layers=[1], ridge=1e-4)
    first = editor.edit(lm, FACTS[:1])
    (name,) = first.deltas
    with first.applied(lm):
        heedless, heedful = editor.edit(lm, FACTS[1:]), editor.edit(lm, FACTS[1:], upon=[first])
    disturbed = [float((edit.deltas[name].dense() @ first.keys[name].T).norm()) for edit in (heedless, heedful)]
    assert disturbed[1] < 0.1 * disturbed[0]


def test_order_on_a_model():
    lm, editor = tiny("gpt2"), alphaedit(at_once=2)
    one, other = editor.edit(lm, FACTS), editor.edit(lm, FACTS[::-1])
    for name, delta in one.deltas.items():
        expected = delta.dense()
        assert float((other.deltas[name].dense() - expected).norm() / expected.norm()) < 1e-3


def test_absolute_scale_is_the_papers():
    # Keys ten times as long are another model to the absolute threshold, and the same to the relative one.
    lm = tiny("llama")
    one = alphaedit(layers=[1], scale="absolute", threshold=1e9, ridge=1e-6).edit(lm, FACTS)
    (name,) = one.deltas
    torch.testing.assert_close(one.deltas[name].right, torch.linalg.pinv(one.keys[name]), rtol=1e-2, atol=1e-2)
    with pytest.raises(EditFailed, match="No direction of the keys is free"):
        alphaedit(layers=[1], scale="absolute", threshold=1e-30).edit(lm, FACTS)


def test_duplicates_and_conflicts_are_refused_by_name():
    lm, other = tiny("llama"), Fact("Space Needle", "The {} is in the city of", "Rome")
    with pytest.raises(DataError, match=r"conflicting facts.*Space Needle.*'Paris' and 'Rome'"):
        alphaedit().edit(lm, [*FACTS, other])
    assert alphaedit(last_wins=True).edit(lm, [*FACTS, other]).facts == (*FACTS[1:], other)


def test_zero_strength_moves_nothing_and_is_an_error():
    with pytest.raises(EditFailed, match="moved nothing"):
        alphaedit(steps=1, layers=[1]).edit(tiny("llama"), FACTS)


@pytest.mark.parametrize("family", EXPERTS)
def test_mixture_of_experts_says_why(family):
    with pytest.raises(UnsupportedModel, match="experts"):
        alphaedit(layers=None).edit(tiny(family), FACTS)
