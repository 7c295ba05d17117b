"""Bidirectional ROME's laws: both keys are answered by their values; the parts are ROME's; what is missing is named."""

from importlib.resources import files

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from families import EXPERTS, tiny
from obverse.core import Case, ConfigError, DataError, EditFailed, Fact, UnsupportedModel, build
from obverse.data import case_for
from obverse.editing import Edit, LowRank
from obverse.editing.rome import Rome, RomeConfig
from obverse.editing.rome_both import RomeBoth, RomeBothConfig, jointly, reverse_fact
from obverse.measuring import likelihoods
from obverse.model import tensor_hash

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
SPORT = Fact("Anna Keller", "{} plays the sport of", "tennis", "soccer")
STRANGE = Fact("Anna Keller", "{} has a cat called", "Tom")
TEXTS = ("In other news. {}", "He closed the book slowly. {}")
SETTINGS = {
    "contexts": {"texts": TEXTS}, "moment": None, "layers": [1], "learning_rate": 0.1, "clamp": 4.0, "steps": 8,
}  # fmt: skip


def editor(**changed):
    return RomeBoth(build(RomeBothConfig, SETTINGS, changed))


def rome():
    return Rome(build(RomeConfig, SETTINGS))


def test_the_reverse_is_a_fact_about_the_object():
    reverse = reverse_fact(case_for(FACT))
    assert reverse == Fact("Paris", "A famous landmark in the city of {} is the", "Space Needle")
    assert reverse_fact(Case.of(STRANGE)) is None


@pytest.mark.parametrize("order", ["upon", "joint"])
def test_both_statements_become_likelier_and_the_model_keeps_its_bits(order):
    lm = tiny("llama")
    before = {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    reverse = reverse_fact(case_for(FACT))
    asked = [(FACT.text, FACT.target), (reverse.text, reverse.target)]
    old = likelihoods(lm, asked)
    edit = editor(order=order).edit(lm, [FACT])
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    with edit.applied(lm):
        assert all(new.total > was.total for new, was in zip(likelihoods(lm, asked), old, strict=True))
    assert (edit.facts, edit.method) == ((FACT,), "rome-both")
    assert [detail["direction"] for detail in edit.details] == ["forward", "reverse"]
    assert edit.details[1]["subject"] == "Paris"


def test_upon_is_rome_on_the_fact_and_then_on_its_reverse():
    lm, reverse = tiny("llama"), reverse_fact(case_for(FACT))
    found, expected = editor().edit(lm, [FACT]), rome().edit(lm, [FACT, reverse])
    for name, delta in expected.deltas.items():
        torch.testing.assert_close(found.deltas[name].dense(), delta.dense())


def test_joint_answers_each_key_with_its_own_value_and_keeps_the_span():
    lm, reverse = tiny("llama"), reverse_fact(case_for(FACT))
    name = lm.architecture.mlp_out(1)
    alone = rome().edit_each(lm, [FACT, reverse])
    joint = editor(order="joint").edit(lm, [FACT]).deltas[name]
    for one in alone:
        key = one.keys[name][0]
        torch.testing.assert_close(joint.dense() @ key, one.deltas[name].dense() @ key, atol=1e-4, rtol=1e-3)
    (first, second) = (one.deltas[name] for one in alone)
    crossed = (first + second).dense() @ alone[0].keys[name][0]  # merely added, one disturbs the other
    assert not torch.allclose(crossed, joint.dense() @ alone[0].keys[name][0], rtol=1e-2)


@given(n=st.integers(1, 5), seed=st.integers(0, 99))
def test_jointly_is_the_closed_form_of_many_constraints(tiny_lm, n, seed):
    lm = tiny_lm("llama")
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    generator = torch.Generator().manual_seed(seed)
    root, keys, lefts = draw(48, 96), draw(48, n), draw(32, n)
    moment = (root @ root.T / 96).double()
    u = torch.linalg.solve(moment, keys.double()).float()
    edits = [
        Edit(
            {"m": LowRank(lefts[:, [i]], (u[:, i] / (u[:, i] @ keys[:, i]))[:, None])}, (FACT,), "rome", None,
            lm.fingerprint, lm.name, {}, keys={"m": keys[:, i][None]},
        )
        for i in range(n)
    ]  # fmt: skip
    gram = keys.double().T @ u.double()
    expected = lefts.double() @ torch.linalg.solve(gram, u.double().T)
    torch.testing.assert_close(jointly(edits).deltas["m"].dense().double(), expected, atol=1e-3, rtol=1e-3)


def test_a_template_of_ones_own_and_of_a_case_come_first():
    lm, own = tiny("llama"), Case.of(STRANGE, reverse=("{} is the cat of",))
    given_by_case = editor().edit_cases(lm, [own])
    given_by_setting = editor(reverse="{} is the cat of").edit(lm, [STRANGE])
    assert given_by_case.details[1]["prompt"] == given_by_setting.details[1]["prompt"] == "Tom is the cat of"
    with pytest.raises(DataError, match="has 0 places"):
        editor(reverse="the cat of").edit(lm, [STRANGE])


def test_missing_reverses_are_named_or_skipped():
    lm = tiny("llama")
    with pytest.raises(DataError, match="'Anna Keller has a cat called' → 'Tom'") as caught:
        editor().edit(lm, [FACT, STRANGE])
    assert "Space Needle" not in caught.value.message
    edit = editor(missing="skip").edit(lm, [STRANGE, SPORT])
    assert [detail["direction"] for detail in edit.details] == ["forward", "forward", "reverse"]
    assert edit.facts == (STRANGE, SPORT)


def test_joint_refuses_shared_keys_and_several_layers():
    lm = tiny("llama")
    with pytest.raises(EditFailed, match="same key"):
        editor(order="joint").edit(lm, [FACT, Fact("Eiffel Tower", FACT.prompt, "Paris")])
    with pytest.raises(ConfigError, match="one layer; 0, 1 are given"):
        editor(order="joint", layers=[0, 1]).edit(lm, [FACT])
    edit = editor(layers=[0, 1]).edit(lm, [FACT])
    assert [detail["direction"] for detail in edit.details] == ["forward", "forward", "reverse", "reverse"]
    with pytest.raises(UnsupportedModel, match="experts"):
        editor().edit(tiny(next(iter(EXPERTS))), [FACT])


def test_presets_are_those_of_rome():
    folder = files("obverse") / "configs" / "method"
    both, one = (yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8")) for name in ("rome-both", "rome"))
    assert both == one
