"""What a map says, and what it says where it cannot be made."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from families import EXPERTS, LAYERS, UNLISTED_EXPERTS, tiny
from obverse.core import UnsupportedModel
from obverse.model import Architecture, Layout, Site, capture


@pytest.mark.parametrize(
    ("family", "inner", "transposed", "position"),
    [
        ("gpt2", 128, True, "learned"),
        ("opt", 48, False, "learned"),
        ("gptj", 128, False, "rotary"),
        ("codegen", 128, False, "rotary"),
        ("llama", 48, False, "rotary"),
        ("falcon_rotary", 128, False, "rotary"),
        ("falcon_alibi", 128, False, "alibi"),
        ("bloom", 128, False, "alibi"),
        ("mpt", 128, False, "alibi"),
        ("mixtral", 0, False, "rotary"),
    ],
)
def test_sizes_and_positions(family, inner, transposed, position, tiny_lm):
    found = tiny_lm(family).architecture
    assert (found.n_layers, found.hidden) == (LAYERS, 32)
    assert (found.inner, found.transposed, found.position) == (inner, transposed, position)


def test_names(tiny_lm):
    architecture = tiny_lm("gpt2").architecture
    assert architecture.block(2) == "transformer.h.2"
    assert architecture.mlp_out(0) == "transformer.h.0.mlp.c_proj"


@pytest.mark.parametrize("layer", [-1, LAYERS])
def test_layer_out_of_range(layer, tiny_lm):
    with pytest.raises(UnsupportedModel, match=rf"Layer {layer} is out of range: this model has layers 0 to 2\."):
        tiny_lm("gpt2").architecture.block(layer)


@pytest.mark.parametrize("family", [*EXPERTS, *UNLISTED_EXPERTS])
def test_experts_have_no_single_matrix(family, tiny_lm):
    architecture = tiny_lm(family).architecture
    with pytest.raises(UnsupportedModel, match="some of many experts, so no single matrix holds a fact") as caught:
        architecture.mlp_out(0)
    assert architecture.family in str(caught.value)
    assert "edit a dense model instead" in caught.value.hint


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("opt_late_norm", "'self_attn.out_proj' and 'fc2' as writers the relative error is "),
        ("granite_scaled", "relative error is "),
        ("openai-gpt", "relative error is "),
    ],
)
def test_lawless_families_are_refused_with_the_measured_error(family, message):
    with pytest.raises(UnsupportedModel, match=message) as caught:
        Architecture.detect(tiny(family).model)
    assert "by hand" in caught.value.hint


def test_blocks_without_attention_are_refused():
    model = tiny("stablelm").model
    for block in model.model.layers:
        block.add_module("mixer", block.self_attn)
        block.forward = lambda hidden_states, *_, mlp=block.mlp, **__: hidden_states + mlp(hidden_states)
    with pytest.raises(UnsupportedModel, match="No attention output projection was found in the blocks of 'stablelm'"):
        Architecture.detect(model)


def test_unlike_blocks_are_refused():
    model = tiny("llama").model
    del model.model.layers[2].mlp.down_proj
    model.model.layers[2].mlp.add_module("last", nn.Linear(48, 32))
    with pytest.raises(UnsupportedModel, match=r"to have mlp\.down_proj inside; block 2 has not"):
        Architecture.detect(model)


def test_blocks_not_found():
    model = tiny("llama").model
    model.model.others = nn.ModuleList(nn.Identity() for _ in range(LAYERS))
    with pytest.raises(UnsupportedModel, match="LlamaForCausalLM were not found: 2 lists of 3 modules"):
        Architecture.detect(model)


def test_a_map_by_hand(tiny_lm):
    lm = tiny_lm("llama")
    layout = Layout("self_attn.o_proj", "mlp.down_proj", "self_attn", "mlp")
    by_hand = Architecture("mine", "model.layers", layout, LAYERS, 32, 48, transposed=False, position="rotary")
    inputs = {"input_ids": torch.tensor([[4, 5, 6]])}
    for kind in ("hidden", "attn", "mlp", "key"):
        mine, theirs = (capture(lm.model, a, inputs, [Site(1, kind)]) for a in (by_hand, lm.architecture))
        assert torch.equal(mine[Site(1, kind)], theirs[Site(1, kind)])
    with pytest.raises(UnsupportedModel, match=r"no module named model\.blocks\.1"):
        capture(lm.model, replace(by_hand, blocks="model.blocks"), inputs, [Site(1, "hidden")])


def test_detecting_leaves_no_hook(tiny_lm):
    for family in ("llama", "stablelm"):
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in tiny_lm(family).model.modules())


def test_states_that_overflow_are_named():
    model = tiny("llama").model
    for parameter in model.parameters():
        parameter.mul_(1e3)
    with pytest.raises(UnsupportedModel, match="not finite numbers in float16"):
        Architecture.detect(model.to(torch.float16))
