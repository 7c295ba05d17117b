"""Changes of biases: applied both ways, merged, undone, added and kept on disk like those of weights."""

import pytest
import torch

from families import tiny
from obverse.core import Fact
from obverse.editing import Dense, Edit, LowRank, stack
from obverse.model import tensor_hash

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")


def biased(lm, seed=0, low_rank=False, bias=True):
    a, generator = lm.architecture, torch.Generator().manual_seed(seed)
    left, right = torch.randn(a.hidden, 1, generator=generator), torch.randn(a.inner, 1, generator=generator)
    delta = Dense(left @ right.T, torch.randn(a.hidden, generator=generator) if bias else None)
    name = a.mlp_out(1)
    weights = {name: tensor_hash(lm.weight_of(name))}
    return Edit({name: LowRank(left, right) if low_rank else delta}, (FACT,), "t", {}, lm.fingerprint, lm.name, weights)


def logits(lm):
    ids = torch.tensor([lm.tokenizer("The Space Needle is in")["input_ids"]])
    with torch.no_grad():
        return lm.model(ids).logits


def bits(lm):
    return {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt_neox"])
def test_hook_weight_and_merged_agree_and_leave_every_bit(family):
    lm = tiny(family)
    edit, without, before = biased(lm), biased(lm, bias=False), bits(lm)
    with edit.applied(lm):
        hooked = logits(lm)
    with without.applied(lm):
        assert (logits(lm) - hooked).abs().max() > 1e-3 * hooked.abs().max()  # the bias matters
    with pytest.raises(KeyError), edit.applied(lm, mode="weight"):
        weighted = logits(lm)
        raise KeyError
    assert bits(lm) == before
    edit.merge(lm)
    changed = {name for name, value in bits(lm).items() if value != before[name]}
    assert changed == {f"{lm.architecture.mlp_out(1)}.{kind}" for kind in ("weight", "bias")}
    torch.testing.assert_close(weighted, hooked, rtol=1e-4, atol=float(1e-5 * hooked.abs().max()))
    assert torch.equal(logits(lm), weighted)


@pytest.mark.parametrize("other", [{}, {"bias": False}, {"low_rank": True}])
def test_sums_keep_biases(other, tiny_lm):
    lm = tiny_lm("gpt2")
    first, second = biased(lm), biased(lm, seed=1, **other)
    with first.applied(lm), second.applied(lm):
        expected = logits(lm)
    for total in (stack([first, second]), stack([second, first])):
        with total.applied(lm):
            torch.testing.assert_close(logits(lm), expected, rtol=1e-4, atol=float(1e-5 * expected.abs().max()))


def test_files_keep_biases(tmp_path, tiny_lm):
    lm = tiny_lm("gpt2")
    edit, name = biased(lm), lm.architecture.mlp_out(1)
    edit.save(tmp_path / "edit")
    loaded = Edit.load(tmp_path / "edit")
    assert list(loaded.deltas) == [name]
    assert torch.equal(loaded.deltas[name].delta, edit.deltas[name].delta)
    assert torch.equal(loaded.deltas[name].bias, edit.deltas[name].bias)
    biased(lm, bias=False).save(tmp_path / "plain")
    assert Edit.load(tmp_path / "plain").deltas[name].bias is None
