"""Causal traces, severed ones and sigma equal the original's, given its noise (rome.md 1; golden/rome/README.md)."""

from typing import Any

import numpy as np
import pytest
from tests.golden.conftest import SMOL, arrays, golden, params

from obverse.core import Fact
from obverse.locating.noise import Noise, embedding_std
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.locating.tracing import TraceConfig, trace_all

TRACES: dict[str, Any] = golden("trace") or {}
SEVERED: dict[str, Any] = golden("severed") or {}
SIGMA: dict[str, Any] = golden("embedding_std") or {}
TOLERANCE = 1e-4


def models(cases: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key, case["model"]) for key, case in cases.items()]


def traced(golden_model, case: dict[str, Any], kinds: tuple[TraceKind, ...], replace: bool = False) -> CausalTrace:
    lm = golden_model(case["model"])
    fact = Fact.from_text(case["prompt"], case["subject"], target=case["answer"])
    distribution = "uniform" if case.get("uniform_noise") else "normal"
    noise = Noise(str(case["noise"]), distribution, case["noise"])
    config = TraceConfig(kinds=kinds, samples=case["samples"], window=case.get("window", 10), replace=replace)
    (trace,) = trace_all(lm, [fact], config, noise=noise)
    assert isinstance(trace, CausalTrace)
    assert [trace.subject.start, trace.subject.stop] == case["subject_range"]
    assert trace.answer == case["answer"]
    return trace


@pytest.mark.parametrize("key", params("trace", models(TRACES)))
def test_trace(golden_model, key):
    case = TRACES[key]
    replace = bool(case.get("replace"))
    trace = traced(golden_model, case, ("hidden", "mlp", "attn"), replace)
    assert list(trace.token_ids) == case["input_ids"]
    assert trace.clean == pytest.approx(case["high_score"], abs=TOLERANCE)
    # The original's low score is always that of added noise (rome.md 1.2).
    added = traced(golden_model, case, ("hidden",)) if replace else trace
    assert added.corrupted == pytest.approx(case["low_score"], abs=TOLERANCE)
    found = arrays("trace")
    one = trace.subject.stop - 1
    compared = 0
    for name, kind in (("state", "hidden"), ("mlp", "mlp"), ("attn", "attn")):
        if f"{key}/{name}" in found.files:
            wanted, table = found[f"{key}/{name}"], trace.restored[kind].numpy()
            np.testing.assert_allclose(table if len(wanted) > 1 else table[one : one + 1], wanted, atol=TOLERANCE)
            compared += 1
    assert compared


@pytest.mark.parametrize("key", params("trace", [(k, m) for k, m in models(TRACES) if "noise_check" in TRACES[k]]))
def test_noise(key):
    case = TRACES[key]
    wanted = case["noise_check"]
    distribution = "uniform" if case.get("uniform_noise") else "normal"
    drawn = Noise("1", distribution, 1.0).draw(*wanted["shape"])
    assert list(drawn.shape) == wanted["shape"]
    assert drawn.flatten()[:3].tolist() == pytest.approx(wanted["first3"], rel=1e-12)
    assert float(drawn.sum()) == pytest.approx(wanted["sum"], rel=1e-9)


@pytest.mark.parametrize("key", params("severed", models(SEVERED)))
def test_severed(golden_model, key):
    case = SEVERED[key]
    trace = traced(golden_model, case, ("hidden", "severed-mlp", "severed-attn"))
    assert trace.clean == pytest.approx(case["high_score"], abs=TOLERANCE)
    assert trace.corrupted == pytest.approx(case["low_score"], abs=TOLERANCE)
    found = arrays("severed")
    names = {"restore_only": "hidden", "severed_mlp_samenoise": "severed-mlp", "severed_attn_samenoise": "severed-attn"}
    one = trace.subject.stop - 1
    for name, kind in names.items():
        wanted, table = found[f"{key}/{name}"], trace.restored[kind].numpy()
        np.testing.assert_allclose(table if len(wanted) > 1 else table[one : one + 1], wanted, atol=TOLERANCE)


@pytest.mark.parametrize("model", params("embedding_std", [(m, m) for m in (SIGMA.get("tiny") or {}).get("std", {})]))
def test_sigma(golden_model, model):
    assert embedding_std(golden_model(model), SIGMA["tiny"]["subjects"]) == pytest.approx(
        SIGMA["tiny"]["std"][model], rel=1e-5
    )


@pytest.mark.real_model
@pytest.mark.skipif(not SIGMA, reason="no golden folder (set OBVERSE_GOLDEN)")
def test_sigma_of_a_real_model(golden_model):
    case = SIGMA["smollm2"]
    assert embedding_std(golden_model(SMOL), case["subjects"]) == pytest.approx(case["std"], rel=1e-4)
