"""Second moments of keys against the original program."""

import pytest
import torch
from tests.golden.conftest import arrays, golden, params

from obverse.editing.moments import MomentConfig, second_moment

FILE = golden("second_moment") or {"stats": {}}
STATS = FILE["stats"]


@pytest.mark.parametrize("name", params("second_moment", [(key, key.split("|")[0]) for key in STATS]))
def test_moment_of_keys(name, golden_model, tmp_path):
    model, module, limit = name.split("|")
    lm, expected = golden_model(model), STATS[name]
    texts = FILE["texts"]
    if limit != "None":
        texts = [texts[i] for i in FILE["sample_order_seed1"][: int(limit)]]
    corpus = tmp_path / "texts.txt"
    corpus.write_text("\n\n".join(texts), "utf-8")
    layer = next(i for i in range(lm.architecture.n_layers) if lm.architecture.mlp_out(i) == module)
    config = MomentConfig(corpus=str(corpus), tokens=10**9, length=128)
    moment = second_moment(lm, [layer], config, cache=tmp_path / "cache")[layer]
    assert moment.count == expected["count"]
    assert float(moment.matrix.trace()) == pytest.approx(expected["trace"], rel=1e-5)
    assert float(moment.matrix.norm()) == pytest.approx(expected["fro"], rel=1e-5)
    torch.testing.assert_close(moment.matrix.diagonal(), torch.tensor(expected["diag"]).double(), rtol=1e-4, atol=1e-7)
    if limit == "None" and len(STATS) == 1:
        theirs = torch.as_tensor(arrays("second_moment")["moment"]).double()
        torch.testing.assert_close(moment.matrix, theirs, rtol=1e-4, atol=1e-6)
