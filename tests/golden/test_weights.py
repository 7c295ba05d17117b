"""The built-in SmolLM2 is the model that the golden numbers were computed on."""

import pytest
from tests.golden.conftest import SMOL, golden

EXPECTED = golden("smollm2_weights")


@pytest.mark.real_model
@pytest.mark.skipif(EXPECTED is None, reason="no golden folder (set OBVERSE_GOLDEN)")
def test_builtin_weights(golden_model):
    lm = golden_model(SMOL)
    weight = lm.model.get_submodule(lm.architecture.mlp_out(8)).weight
    assert sum(p.numel() for p in lm.model.parameters()) == EXPECTED["n_params"]
    assert float(weight.norm()) == pytest.approx(EXPECTED["down_proj8_norm"], rel=1e-6)
    assert weight.flatten()[:4].tolist() == EXPECTED["down_proj8_first4"]
