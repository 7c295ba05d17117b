"""KN's laws: only the chosen neurons' columns move, each by the same vector; every family; the model is untouched."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from families import DENSE, EXPERTS, tiny
from obverse.core import EditFailed, Fact, UnsupportedModel, build
from obverse.editing.edit import stack
from obverse.editing.kn import Kn, KnConfig, answering, changes
from obverse.locating.attribution import AttributionConfig, attribute
from obverse.locating.neurons import Neuron
from obverse.measuring import likelihoods, top_tokens
from obverse.model import tensor_hash

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
OTHER = Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer")


def config(**changed):
    return build(KnConfig, {"attribution": {"steps": 3}}, changed)


@given(
    places=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 47)), min_size=1, max_size=12),
    erase=st.floats(0, 3),
    write=st.floats(0.1, 3),
)
def test_the_chosen_columns_move_by_one_vector_and_no_others(tiny_lm, places, erase, write):
    lm = tiny_lm("llama")
    neurons = [Neuron(layer, index, 1.0, 1.0, 0.0) for layer, index in places]
    deltas = changes(lm, neurons, 7, [3, 5, 5], config(erase=erase, write=write))
    table = lm.weight_of(lm.head)
    vector = write * (table[3] + 2 * table[5]) - erase * table[7]
    for layer in range(3):
        expected = torch.zeros(32, 48)
        for index in (i for at, i in places if at == layer):
            expected[:, index] = vector
        delta = deltas.get(lm.architecture.mlp_out(layer))
        found = delta.dense() if delta else torch.zeros(32, 48)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [name for name in DENSE if name != "opt_projected"])
def test_every_family_loses_the_old_answer_and_keeps_its_bits(family, tiny_lm):
    lm = tiny_lm(family)
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    (old,) = top_tokens(lm, FACT.text, 1)
    fact = Fact(FACT.subject, FACT.prompt, FACT.target)  # without a true target: the likeliest token is scored
    edit = Kn(config()).edit(lm, [fact])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert edit.details[0]["erased"] == old.text
    with edit.applied(lm):
        changed = {token.id: token.probability for token in top_tokens(lm, FACT.text, lm.vocab)}
    assert changed[old.id] != pytest.approx(old.probability, rel=1e-3)


def test_neurons_are_those_of_the_attribution():
    lm, settings = tiny("llama"), config(threshold=0.5)
    true = Fact(FACT.subject, FACT.prompt, "Seattle")
    found = attribute(lm, true, AttributionConfig(steps=3), label="")
    edit = Kn(settings).edit(lm, [FACT])
    expected = {(neuron.layer, neuron.index) for neuron in found.above(0.5)}
    moved = {
        (layer, int(index))
        for layer in range(3)
        if (delta := edit.deltas.get(lm.architecture.mlp_out(layer)))
        for index in delta.dense().abs().sum(0).nonzero()
    }
    assert moved == expected
    assert edit.details[0]["neurons"] == len(expected)


def test_layers_can_be_limited_and_the_share_is_then_of_their_largest():
    lm = tiny("llama")
    edit = Kn(config(layers=[1])).edit(lm, [FACT])
    assert set(edit.deltas) == {lm.architecture.mlp_out(1)}
    found = attribute(lm, Fact(FACT.subject, FACT.prompt, "Seattle"), AttributionConfig(steps=3), label="")
    scores = found.scores[1]
    assert len(answering(found, [1], 0.2)) == int((scores > 0.2 * scores.max()).sum())


def test_later_facts_are_computed_upon_earlier_ones():
    lm, editor = tiny("llama"), Kn(config())
    both, first = editor.edit(lm, [FACT, OTHER]), editor.edit(lm, [FACT])
    with first.applied(lm):
        second = editor.edit(lm, [OTHER])
    expected = stack([first, second])
    assert set(both.deltas) == set(expected.deltas)
    for name, delta in expected.deltas.items():
        torch.testing.assert_close(both.deltas[name].dense(), delta.dense(), atol=1e-4, rtol=1e-3)


def test_zero_strength_changes_nothing():
    lm = tiny("llama")
    edit = Kn(config(erase=0, write=0)).edit(lm, [FACT])
    (plain,) = likelihoods(lm, [(FACT.text, FACT.target)])
    with edit.applied(lm):
        assert likelihoods(lm, [(FACT.text, FACT.target)]) == [plain]


def test_refusals_say_why():
    with pytest.raises(UnsupportedModel, match="16 entries, its residual stream 32"):
        Kn(config()).edit(tiny("opt_projected"), [FACT])
    with pytest.raises(UnsupportedModel, match="experts"):
        Kn(config()).edit(tiny(next(iter(EXPERTS))), [FACT])
    with pytest.raises(UnsupportedModel, match="layers 0 to 2"):
        Kn(config(layers=[3])).edit(tiny("llama"), [FACT])


def test_no_neuron_is_an_error(monkeypatch):
    monkeypatch.setattr("obverse.editing.kn.answering", lambda *_: [])
    with pytest.raises(EditFailed, match="No neuron of the layers 0, 1, 2 adds to"):
        Kn(config()).edit(tiny("llama"), [FACT])
