"""Edits as values: apply then leave = same bits; hook = weight = merged = PEFT; sums; files."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import DENSE, tiny
from obverse.core import DataError, EditMismatch, Fact, ObverseError
from obverse.editing import Dense, Edit, LowRank, cross_talk, stack
from obverse.model import tensor_hash

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")


def random_edit(lm, layer=1, rank=1, seed=0, dense=False):
    generator = torch.Generator().manual_seed(seed)
    a = lm.architecture
    name = a.mlp_out(layer)
    left = torch.randn(a.hidden, rank, generator=generator)
    right = torch.randn(a.inner, rank, generator=generator)
    delta = Dense(left @ right.T) if dense else LowRank(left, right)
    weights = {name: tensor_hash(lm.model.get_submodule(name).weight)}
    keys = {name: right.T}
    return Edit({name: delta}, (FACT,) * rank, "test", {}, lm.fingerprint, lm.name, weights, a.transposed, keys)


def logits(lm, text="The Space Needle is in"):
    ids = torch.tensor([lm.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return lm.model(ids).logits


def bits(lm):
    return {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}


@pytest.mark.parametrize("family", DENSE)
def test_hook_weight_and_merged_agree(family):
    lm = tiny(family)
    edit, clean = random_edit(lm, rank=2), logits(lm)
    with edit.applied(lm):
        hooked = logits(lm)
    with edit.applied(lm, mode="weight"):
        weighted = logits(lm)
    assert torch.equal(logits(lm), clean)
    edit.merge(lm)
    scale = hooked.abs().max()
    assert (hooked - clean).abs().max() > 1e-3 * scale
    torch.testing.assert_close(weighted, hooked, rtol=1e-4, atol=float(1e-5 * scale))
    assert torch.equal(logits(lm), weighted)


@pytest.mark.parametrize("mode", ["hook", "weight"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_leaving_restores_every_bit_also_after_an_exception(mode, dtype):
    lm = tiny("llama")
    lm.model.to(dtype)
    before = bits(lm)
    edit = random_edit(lm)
    with pytest.raises(KeyError), edit.applied(lm, mode=mode):
        raise KeyError
    assert bits(lm) == before
    assert not any(module._forward_hooks for module in lm.model.modules())


def test_merging_makes_another_model():
    lm = tiny("llama")
    edit, before = random_edit(lm), lm.fingerprint
    edit.merge(lm)
    assert lm.fingerprint != before
    with pytest.raises(EditMismatch, match="made for"):
        edit.merge(lm)


@settings(max_examples=20, deadline=None)
@given(rank=st.integers(1, 4), other=st.integers(1, 4), seed=st.integers(0, 99))
def test_sum_is_the_sum_of_changes(rank, other, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = (
        LowRank(torch.randn(5, r, generator=generator), torch.randn(7, r, generator=generator)) for r in (rank, other)
    )
    torch.testing.assert_close((a + b).dense(), a.dense() + b.dense())
    assert a.norm() == pytest.approx(float(a.dense().norm()), rel=1e-4)


def test_stacking_keeps_order_and_adds_ranks():
    lm = tiny("gpt2")
    first, second, other = random_edit(lm), random_edit(lm, seed=1), random_edit(lm, layer=2, dense=True)
    total = stack([first, second, other])
    name = lm.architecture.mlp_out(1)
    assert total.deltas[name].left.shape[1] == 2
    assert len(total.facts) == 3
    assert total.keys[name].shape[0] == 2
    with first.applied(lm), second.applied(lm), other.applied(lm):
        nested = logits(lm)
    with total.applied(lm):
        torch.testing.assert_close(logits(lm), nested, rtol=1e-4, atol=1e-4)


def test_edits_of_different_models_do_not_add():
    with pytest.raises(EditMismatch, match="different models"):
        random_edit(tiny("gpt2")) + random_edit(tiny("llama"))


def test_another_model_is_refused_with_both_hashes():
    edit, other = random_edit(tiny("llama")), tiny("gpt2")
    with pytest.raises(EditMismatch) as caught, edit.applied(other):
        pass
    assert str(edit.base) in str(caught.value)
    assert str(other.fingerprint) in str(caught.value)


def test_cross_talk_names_the_pair_that_answers():
    lm = tiny("llama")
    size, hidden, name = lm.architecture.inner, lm.architecture.hidden, lm.architecture.mlp_out(1)
    keys = torch.eye(size)[:2].clone()
    keys[1, 0] = 0.5  # the second fact's key has half of the first one's direction
    edits = [
        Edit({name: LowRank(torch.ones(hidden, 1), torch.eye(size)[i][:, None])}, (FACT,), "t", {}, lm.fingerprint, "m",
             {}, keys={name: keys[i][None]})
        for i in range(2)
    ]  # fmt: skip
    assert cross_talk(edits)[0] == (name, 0, 1, 0.5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt", "gemma3", "falcon_new"])
def test_saved_edit_is_a_peft_adapter_with_equal_logits(family, tmp_path):
    from peft import PeftModel

    lm = tiny(family)
    edit = stack([random_edit(lm, layer=1), random_edit(lm, layer=1, seed=3), random_edit(lm, layer=2, seed=1)])
    with edit.applied(lm):
        expected = logits(lm)
    edit.save(tmp_path / "edit")
    loaded = Edit.load(tmp_path / "edit")
    assert loaded.facts == edit.facts
    assert loaded.base == edit.base
    with loaded.applied(lm):
        torch.testing.assert_close(logits(lm), expected, rtol=1e-5, atol=float(1e-5 * expected.abs().max()))
    ids = torch.tensor([lm.tokenizer("The Space Needle is in")["input_ids"]])
    with torch.no_grad():
        peft = PeftModel.from_pretrained(lm.model, str(tmp_path / "edit"))(ids).logits
    torch.testing.assert_close(peft, expected, rtol=1e-5, atol=float(1e-5 * expected.abs().max()))


def test_dense_edit_round_trips(tmp_path):
    lm = tiny("gpt2")
    edit = random_edit(lm, dense=True)
    edit.save(tmp_path / "edit")
    assert (tmp_path / "edit" / "delta.safetensors").is_file()
    name = lm.architecture.mlp_out(1)
    assert torch.equal(Edit.load(tmp_path / "edit").deltas[name].dense(), edit.deltas[name].dense())


def test_altered_adapter_is_refused_with_both_hashes(tmp_path):
    edit = random_edit(tiny("llama"))
    edit.save(tmp_path / "edit")
    file = tmp_path / "edit" / "adapter_model.safetensors"
    record = json.loads((tmp_path / "edit" / "edit.json").read_text())
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(EditMismatch, match=record["files"][file.name]):
        Edit.load(tmp_path / "edit")
    file.unlink()
    with pytest.raises(EditMismatch, match="absent"):
        Edit.load(tmp_path / "edit")


def test_folder_without_edit_or_of_a_newer_format_is_refused(tmp_path):
    with pytest.raises(DataError, match="no edit"):
        Edit.load(tmp_path)
    (tmp_path / "edit.json").write_text('{"format_version": 99}')
    with pytest.raises(DataError, match="format 99"):
        Edit.load(tmp_path)
    (tmp_path / "edit.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Edit.load(tmp_path)


def test_existing_folder_is_kept_unless_replaced(tmp_path):
    edit = random_edit(tiny("llama"))
    edit.save(tmp_path / "edit")
    with pytest.raises(ObverseError, match="exists"):
        edit.save(tmp_path / "edit")
    edit.save(tmp_path / "edit", replace=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["edit"]
