"""Block output = block input + attention write + MLP write, in every family."""

import pytest
import torch

from families import DENSE, EXPERTS, LAYERS, PROBED, UNLISTED_EXPERTS, tiny
from obverse.model.architecture import LAYOUTS, Architecture, _check_names, _probe, residual_error
from obverse.model.hooks import Site, capture

LISTED = {**DENSE, **EXPERTS}
EVERY = {**LISTED, **PROBED, **UNLISTED_EXPERTS}


@pytest.mark.parametrize("family", EVERY)
def test_a_block_adds_two_writes(family, tiny_lm):
    lm = tiny_lm(family)
    inputs = {"input_ids": torch.tensor([[5, 9, 2, 77, 300, 41], [8, 8, 1, 500, 3, 12]])}
    sites = [Site(layer, kind) for layer in range(LAYERS) for kind in ("hidden", "attn", "mlp")]
    states = capture(lm.model, lm.architecture, inputs, sites)
    for layer in range(1, LAYERS):
        before, after = states[Site(layer - 1, "hidden")], states[Site(layer, "hidden")]
        attn, mlp = states[Site(layer, "attn")], states[Site(layer, "mlp")]
        assert min(attn.abs().max(), mlp.abs().max()) > 0.01
        torch.testing.assert_close(before + attn + mlp, after, atol=1e-5 * float(after.abs().max()), rtol=0)
    assert (
        max(residual_error(lm.model, lm.architecture.blocks, lm.architecture.layout, i) for i in range(LAYERS)) < 1e-5
    )


@pytest.mark.parametrize("family", LISTED)
def test_probing_finds_what_the_table_says(family, tiny_lm):
    lm = tiny_lm(family)
    architecture = lm.architecture
    assert architecture.layout == LAYOUTS[architecture.family]
    probed = _probe(lm.model, architecture.blocks, architecture.family)
    _check_names(lm.model, architecture.blocks, probed, architecture.family)
    assert residual_error(lm.model, architecture.blocks, probed) < 1e-5
    assert probed == architecture.layout


@pytest.mark.parametrize("family", [*PROBED, *UNLISTED_EXPERTS])
def test_families_outside_the_table_are_probed(family, tiny_lm):
    architecture = tiny_lm(family).architecture
    assert architecture.family not in LAYOUTS
    assert (architecture.layout.mlp_out is None) == (family in UNLISTED_EXPERTS)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gemma2", "glm4", "codegen", "bloom", "olmo2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_as_float32_is(family, dtype, tiny_lm):
    """What rounding explains is no breach of the law; a wrong writer still is."""
    model = tiny(family).model.to(dtype)
    architecture = Architecture.detect(model)
    assert architecture == tiny_lm(family).architecture
    assert _probe(model, architecture.blocks, "unknown") == architecture.layout


def test_large_states_do_not_hide_a_wrong_writer():
    """Trained models have a few huge entries in the residual stream; errors are relative to what a block adds."""
    model = tiny("stablelm").model
    model.get_input_embeddings().weight[:, 3] *= 1e5
    layout = Architecture.detect(model).layout
    assert (layout.attn_write, layout.mlp_write) == ("self_attn.o_proj", "mlp.down_proj")
