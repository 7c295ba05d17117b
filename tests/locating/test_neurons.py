"""The value an attribution returns: lists of neurons, files, figures, and what neurons promote."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from families import tiny
from obverse.core import DataError, EditMismatch, Fact
from obverse.locating.neurons import Attribution, Neuron
from obverse.locating.promoted import promoted
from obverse.model.fingerprint import Fingerprint


def made(scores, **changes):
    scores = torch.as_tensor(scores, dtype=torch.float32)
    one = Attribution(
        fact=Fact("Zürich", "{} liegt in", "Schweiz"),
        model="tiny",
        fingerprint=Fingerprint("a" * 64, "b" * 64),
        tokens=("Z", "ürich", " liegt", " in"),
        token_ids=(1, 2, 3, 4),
        position=3,
        answer=" Schweiz",
        answer_ids=(5, 6),
        at="key",
        rule="midpoint",
        reading="sequence",
        steps=20,
        probability=0.5,
        without=torch.full((len(scores),), 0.25),
        scores=scores,
        values=-scores,
    )
    return replace(one, **changes)


def tables(min_value=-1.0):
    number = st.floats(min_value, 1, width=32)
    return st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(number, min_size=width, max_size=width), min_size=1, max_size=4)
    )


@given(table=tables(), share=st.floats(0, 1), k=st.integers(0, 30))
def test_lists_of_neurons(table, share, k):
    one = made(table)
    found = one.above(share)
    wanted = {
        (layer, index)
        for layer, index in one.scores.nonzero().tolist()
        if one.highest > 0 and float(one.scores[layer, index]) > float(torch.tensor(share * one.highest))
    }
    assert {(n.layer, n.index) for n in found} == wanted
    top = one.top(k)
    assert len(top) == min(k, one.scores.numel())
    assert [n.score for n in top] == sorted(one.scores.flatten().tolist(), reverse=True)[:k]
    for n in top:
        assert n.score == float(one.scores[n.layer, n.index])
        assert n.value == -n.score
        assert n.share == pytest.approx(n.score / one.highest if one.highest > 0 else 0)


def test_the_sum_of_a_layer_and_what_it_leaves_out():
    one = made([[0.1, 0.2], [-0.1, 0.0]])
    assert one.by_layer().tolist() == pytest.approx([0.3, -0.1])
    assert one.unexplained().tolist() == pytest.approx([0.05, -0.35])
    assert one.n_layers == 2


@given(table=tables())
def test_a_file_gives_back_what_was_saved(table, tmp_path_factory):
    one = made(table)
    path = one.save(tmp_path_factory.mktemp("saved") / "sub" / "one.safetensors")
    again = Attribution.load(path)
    for name in ("scores", "values", "without"):
        assert torch.equal(getattr(again, name), getattr(one, name))
    assert again.to_json(tables=False) == one.to_json(tables=False)
    assert (again.fact, again.fingerprint, again.tokens) == (one.fact, one.fingerprint, one.tokens)


def test_everything_is_json():
    one = made([[0.5, 0.25]])
    found = json.loads(json.dumps(one.to_json()))
    assert found["scores"] == [[0.5, 0.25]]
    assert found["fact"]["subject"] == "Zürich"
    assert "scores" not in one.to_json(tables=False)


def test_one_row_a_neuron():
    frame = made([[0.5, 0.25], [-0.5, 0.0]]).to_frame()
    assert list(frame.columns) == ["layer", "neuron", "score", "share", "value"]
    assert frame.to_numpy().tolist() == [
        [0, 0, 0.5, 1, -0.5], [0, 1, 0.25, 0.5, -0.25], [1, 0, -0.5, -1, 0.5], [1, 1, 0, 0, 0]
    ]  # fmt: skip
    assert made([[-0.5, -0.25]]).to_frame()["share"].tolist() == [0, 0]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        Attribution.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(DataError, match="cannot be read"):
        Attribution.load(tmp_path / "text.safetensors")
    table = {"scores": torch.zeros(1, 2)}
    cases = {
        "no attribution": {"other": "1"},
        "format 2": {"obverse_attribution": "2"},
        "damaged": {"obverse_attribution": "1", "attribution": "{}"},
    }
    for message, header in cases.items():
        save_file(table, tmp_path / "one.safetensors", header)
        with pytest.raises(DataError, match=message):
            Attribution.load(tmp_path / "one.safetensors")


def test_another_model_is_refused(tiny_lm, tmp_path):
    lm = tiny_lm("llama")
    path = made([[0.5]]).save(tmp_path / "one.safetensors")
    with pytest.raises(EditMismatch, match="made on tiny"):
        Attribution.load(path, lm)
    path = made([[0.5]], fingerprint=lm.fingerprint).save(path)
    assert Attribution.load(path, lm).model == "tiny"


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_figure(ending, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"figure.{ending}"
    figure = made([[0.5, -0.25], [0.1, 0.0]]).plot(path)
    upper, lower = figure.axes
    assert [bar.get_height() for bar in upper.patches] == pytest.approx([0.25, 0.1])
    assert len(lower.collections[0].get_offsets()) == 4
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_promoted_tokens_by_hand(family, tiny_lm):
    lm = tiny_lm(family)
    block = lm.model.get_submodule("model.layers.1")
    column = block.get_submodule("mlp.down_proj").weight[:, 7]
    if family == "gemma3":
        column = block.get_submodule("post_feedforward_layernorm")(column)
    logits = lm.head(lm.model.get_submodule("model.norm")(column))
    for value, sign in ((2.0, 1), (-0.1, -1)):
        (found,) = promoted(lm, [Neuron(1, 7, 0.1, 1.0, value)], 4)
        assert found == tuple(lm.decode([i]) for i in (sign * logits).topk(4).indices.tolist())


@pytest.mark.parametrize("family", ["gpt2", "opt_projected", "falcon_new", "mpt"])
def test_promoted_tokens_of_many_neurons_are_those_of_each(family):
    lm = tiny(family)
    neurons = [Neuron(layer, index, 0.0, 0.0, (-1.0) ** index) for layer in range(3) for index in range(30)]
    found = promoted(lm, neurons, 3)
    assert found[::17] == [promoted(lm, [neuron], 3)[0] for neuron in neurons[::17]]
    assert len(set(found)) > 20
    assert promoted(lm, []) == []
