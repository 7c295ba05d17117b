"""Changes trained side by side are those trained alone; what is done leaves the batch, and only what must run runs."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import LAYERS, tiny
from obverse.core import EditFailed, Fact, build
from obverse.editing import Dense, _fit_each, editors
from obverse.editing._fit import lowest_layer
from obverse.editing._fit_rows import batch, losses, questions
from obverse.measuring import likelihoods
from obverse.model import intervene, tensor_hash

FACTS = (
    Fact("Space Needle", "The {} is in the city of", "Paris and its suburbs", "Seattle"),
    Fact("Big Ben", "{} stands near", "Rome"),
    Fact("Nile", "The river {}, which is long and old and full of boats, flows through", "Egypt"),
    Fact("Angela Merkel", "The mother tongue of {} is", "French"),
)  # rows and targets of unequal length
METHODS = ("ft", "ft-l", "ft-attn", "ft-m", "lora")
FAMILIES = ("gpt2", "opt", "gemma3", "llama", "falcon_alibi")
"""Transposed weights, flattened rows, norms after the projections, no biases, fused attention."""


@cache
def exact(family):
    """Return a model that computes in float64.

    Where a gradient is nothing in theory (of a key's bias, which softmax does not see) Adam makes steps of full size
    of what rounding leaves in float32, in a direction that says nothing.
    """
    lm = tiny(family)
    lm.model.to(torch.float64)
    return lm


def editor(method, **values):
    kind = editors.load(method)
    return kind(build(kind.config_type, values))


def gap(found, expected):
    """Return the largest relative error of an edit's changes, biases included."""
    pairs = [(delta, expected.deltas[name]) for name, delta in found.deltas.items()]
    parts = [(ours.dense(), theirs.dense()) for ours, theirs in pairs]
    parts += [(a.bias, b.bias) for a, b in pairs if isinstance(a, Dense) and a.bias is not None]
    return max(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in parts)


def check_equal(found, expected, tolerance=1e-4):
    assert found.facts == expected.facts
    assert (found.method, found.config, found.weights) == (expected.method, expected.config, expected.weights)
    assert list(found.deltas) == list(expected.deltas)
    assert gap(found, expected) < tolerance
    (ours,), (theirs,) = found.details, expected.details
    numbers = ("loss", "change_norm_over_weight_norm")
    assert ours == {**theirs, **{key: pytest.approx(theirs[key], rel=1e-4) for key in numbers}}


@settings(max_examples=15)
@given(
    method=st.sampled_from(METHODS), family=st.sampled_from(FAMILIES), loss=st.sampled_from(["bag", "sequence"]),
    facts=st.lists(st.sampled_from(FACTS), min_size=1, max_size=3, unique=True), decay=st.sampled_from([0.0, 0.1]),
    layers=st.sampled_from([None, [0], [2], [1, 2]]), stop=st.sampled_from([0.01, 3.0]),
)  # fmt: skip
def test_side_by_side_equals_alone(method, family, loss, facts, decay, layers, stop):
    lm = exact(family)
    wanted = {"loss": loss, "weight_decay": decay, "layers": layers, "stop_loss": stop, "steps": 4}
    one = editor(method, **wanted, learning_rate=5e-3)
    for fact, edit in zip(facts, one.edit_each(lm, facts), strict=True):
        check_equal(edit, one.edit(lm, [fact]))


@pytest.mark.parametrize("method", METHODS)
def test_a_fact_that_stops_early_leaves_and_one_that_never_does_goes_on(method, tiny_lm):
    lm = tiny_lm("llama")
    wanted = {"learning_rate": 1e-2, "steps": 8, "loss": "sequence", "layers": [1]}
    easy = min(FACTS, key=lambda fact: -likelihoods(lm, [(fact.text, fact.target)])[0].mean)
    first = -likelihoods(lm, [(easy.text, easy.target)])[0].mean
    last = editor(method, **wanted, stop_loss=0.0).edit(lm, [easy]).details[0]["loss"]
    one = editor(method, **wanted, stop_loss=(first + last) / 2)
    rows = []
    watch = {lm.architecture.block(LAYERS - 1): lambda _, output: rows.append(output.shape[:2]) or output}
    with intervene(lm.model, watch):
        found = one.edit_each(lm, FACTS)
    steps = [edit.details[0]["evaluations"] for edit in found]
    assert min(steps) < max(steps) == 8
    counts = [count for count, _ in rows[1:]]  # the first run is of what stays as it is
    assert counts == [sum(step > i for step in steps) for i in range(8)]
    assert [edit.details[0]["evaluations"] for edit in one.edit_each(lm, FACTS[::-1])] == steps[::-1]
    for fact, edit in zip(FACTS, found, strict=True):
        check_equal(edit, one.edit(lm, [fact]))


@settings(max_examples=20)
@given(
    family=st.sampled_from(FAMILIES), layer=st.integers(0, LAYERS - 1), loss=st.sampled_from(["bag", "sequence"]),
    chosen=st.lists(st.sampled_from(range(len(FACTS))), min_size=1, max_size=4, unique=True),
)  # fmt: skip
def test_rows_that_are_left_are_asked_the_same_and_are_no_wider_than_they_must_be(tiny_lm, family, layer, loss, chosen):
    lm = tiny_lm(family)
    asked = questions(lm, FACTS, loss)
    whole = batch(lm, asked, layer)
    some = whole.select(chosen)
    with torch.no_grad():
        every = losses(lm, whole, {})
        torch.testing.assert_close(losses(lm, some, {}), every[chosen], rtol=1e-5, atol=1e-5)
    assert some.padded.ids.shape == (len(chosen), max(len(asked[i].ids) for i in chosen))
    expected = [-likelihoods(lm, [(fact.text, fact.target)])[0].mean for fact in FACTS]
    if loss == "sequence":
        assert every.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("limit", ["memory", "batch_size"])
def test_facts_are_split_by_memory_and_batch_size_and_the_result_is_the_same(limit, tiny_lm, monkeypatch):
    lm = tiny_lm("gpt2")
    values = {"steps": 3, "layers": [2]}
    expected = editor("ft", **values).edit_each(lm, FACTS)
    if limit == "memory":
        each = sum(tensor.numel() for tensor in editor("ft", **values).start(lm).tensors) * 16
        monkeypatch.setattr(_fit_each, "MEMORY", 3 * each - 1)
    else:
        values["batch_size"] = 2
    rows = []
    watch = {lm.architecture.block(2): lambda _, output: rows.append(output.shape[0]) or output}
    with intervene(lm.model, watch):
        found = editor("ft", **values).edit_each(lm, FACTS)
    assert rows == [2] * 8  # two parts: one run of what is below, and three steps
    assert max(gap(a, b) for a, b in zip(found, expected, strict=True)) < 1e-4


def test_a_single_change_larger_than_memory_is_trained_all_the_same(tiny_lm, monkeypatch):
    lm = tiny_lm("llama")
    monkeypatch.setattr(_fit_each, "MEMORY", 1)
    found = editor("lora", steps=2).edit_each(lm, FACTS[:2])
    assert [edit.facts for edit in found] == [(fact,) for fact in FACTS[:2]]


def test_no_facts_no_edits(tiny_lm):
    assert editor("ft").edit_each(tiny_lm("llama"), []) == []


@pytest.mark.parametrize("together", [False, True])
def test_blocks_below_the_lowest_trained_layer_run_once(together, tiny_lm):
    lm = tiny_lm("gpt2")
    ran = []

    def noted(layer):
        return lambda _, output: ran.append(layer) or output

    one = editor("ft-m", layers=[1, 2], steps=3)
    with intervene(lm.model, {lm.architecture.block(i): noted(i) for i in range(LAYERS)}):
        one.edit(lm, FACTS) if together else one.edit_each(lm, FACTS)
    assert ran == [0, 1, 2, *[1, 2] * 3]


def test_lowest_layer_is_found_by_name(tiny_lm):
    lm = tiny_lm("gpt2", n_layer=11)
    assert lowest_layer(lm, ["transformer.h.10.mlp.c_proj", "transformer.h.2.attn.c_attn"]) == 2
    assert lowest_layer(lm, ["transformer.h.3.mlp.c_proj", "transformer.wte"]) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, ""),
        ({"steps": 0}, "moved nothing"),
        ({"stop_loss": 1e9}, "moved nothing"),
        ({"learning_rate": 1e30, "bound": None, "weight_decay": 1.0}, "not finite|became"),
    ],
)
def test_model_is_untouched_and_a_failure_is_told(method, values, message):
    if method not in ("ft-l", "ft-attn"):
        values = {key: value for key, value in values.items() if key != "bound"}
    elif method == "ft-l" and "bound" in values:
        values = {**values, "bound": 1e38}
    lm = tiny("gpt2")
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    if message:
        with pytest.raises(EditFailed, match=message):
            editor(method, **values).edit_each(lm, FACTS)
    else:
        editor(method, **values).edit_each(lm, FACTS)
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())
    assert not any(p.requires_grad or p.grad is not None for p in lm.model.parameters())


def test_changes_are_kept_in_float32_beside_a_smaller_type():
    lm = tiny("llama")
    lm.model.to(torch.bfloat16)
    for method in ("ft", "lora"):
        for edit in editor(method, learning_rate=1e-5, layers=[1], steps=4).edit_each(lm, FACTS[:2]):
            assert all(delta.dense().dtype == torch.float32 for delta in edit.deltas.values())
            assert all(0 < float(delta.dense().abs().max()) < 1e-3 for delta in edit.deltas.values())
