"""Causal tracing: the fast way equals the formula in every family, and how it is run changes nothing."""

import pytest
import torch
from benchmarks.one_forward_per_cell import Straightforward
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from families import DENSE, EXPERTS, PROBED, UNLISTED_EXPERTS, tiny
from obverse.core import Fact
from obverse.locating._runs import Statement, run
from obverse.locating.noise import Noise
from obverse.locating.trace import TRACE_KINDS, CausalTrace
from obverse.locating.tracing import TraceConfig, trace_all
from obverse.model.language_model import LanguageModel
from obverse.model.partial import head_logits
from obverse.model.staged import climb

EVERY = {**DENSE, **EXPERTS, **PROBED, **UNLISTED_EXPERTS}
NOISE = Noise("0.5", "normal", 0.5)
SHORT = Fact("Space Needle", "The {} is in", target="Seattle")
LONG = Fact("Brandenburg Gate", "People who visit the city see that the {} is located in the city of", target="Berlin")
"""Longer than any sliding window of the tiny models."""


def width(lm: LanguageModel) -> int:
    return next(lm.model.get_input_embeddings().parameters()).shape[1]


def one(lm: LanguageModel, fact: Fact, config: TraceConfig) -> CausalTrace:
    (trace,) = trace_all(lm, [fact], config, noise=NOISE, label="")
    assert isinstance(trace, CausalTrace)
    return trace


def slow_way(lm: LanguageModel, trace: CausalTrace) -> Straightforward:
    noise = NOISE.draw(trace.samples, len(trace.subject), width(lm), trace.seed)
    return Straightforward(lm, trace.token_ids, trace.subject, noise, trace.window, trace.replace)


def assert_same(found: Tensor, wanted: Tensor, scale: float) -> None:
    torch.testing.assert_close(found.double(), wanted.double(), atol=1e-5 * scale, rtol=0)


def assert_traces_same(found: CausalTrace, wanted: CausalTrace) -> None:
    assert found.kinds == wanted.kinds
    assert found.clean == pytest.approx(wanted.clean, rel=1e-5)
    assert found.corrupted == pytest.approx(wanted.corrupted, rel=1e-5)
    for kind in wanted.kinds:
        assert_same(found.restored[kind], wanted.restored[kind], wanted.clean)


def check(lm: LanguageModel, fact: Fact, config: TraceConfig) -> None:
    trace = one(lm, fact, config)
    slow = slow_way(lm, trace)
    assert trace.answer_id == slow.answer
    assert trace.clean == pytest.approx(slow.clean, rel=1e-5)
    assert trace.corrupted == pytest.approx(slow.corrupted, rel=1e-5)
    for kind in trace.kinds:
        wanted = slow.table(kind)
        assert_same(trace.restored[kind], wanted, slow.clean)
        # What is compared is not all one number.
        assert float(wanted.max() - wanted.min()) > 1e-3 * slow.clean


@pytest.mark.parametrize("family", EVERY)
def test_fast_equals_the_formula(family, tiny_lm):
    check(tiny_lm(family), SHORT, TraceConfig(kinds=TRACE_KINDS, window=2, samples=2))


@pytest.mark.parametrize("family", ["gpt_neo", "mistral", "gemma3", "bloom", "falcon_alibi", "mpt", "opt", "gpt_oss"])
def test_fast_equals_the_formula_beyond_a_sliding_window(family, tiny_lm):
    check(tiny_lm(family), LONG, TraceConfig(kinds=("hidden", "mlp"), window=3, samples=2))


@pytest.mark.parametrize("window", range(1, 10))
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_windows_of_any_size_equal_the_formula(window, family):
    lm = tiny(family, **({"n_layer": 4} if family == "gpt2" else {}))
    check(lm, SHORT, TraceConfig(kinds=("mlp", "attn"), window=window, samples=2))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_that_is_added_or_replaces(replace, distribution, tiny_lm):
    lm = tiny_lm("llama")
    noise = Noise("x", distribution, 0.5)
    config = TraceConfig(kinds=("hidden",), samples=3, replace=replace)
    (trace,) = trace_all(lm, [SHORT], config, noise=noise)
    assert isinstance(trace, CausalTrace)
    drawn = noise.draw(3, len(trace.subject), width(lm))
    slow = Straightforward(lm, trace.token_ids, trace.subject, drawn, 10, replace)
    assert trace.corrupted == pytest.approx(slow.corrupted, rel=1e-5)  # with replacement too: a departure (rome.md 1.2)
    assert_same(trace.restored["hidden"], slow.table("hidden"), slow.clean)


WORDS = st.lists(
    st.sampled_from(["The", "tower", "of", "Paris", "is", "in", "old", "and", "big"]), min_size=0, max_size=7
)


@st.composite
def facts(draw) -> Fact:
    before, after = " ".join(draw(WORDS)), " ".join(draw(WORDS))
    subject = draw(st.sampled_from(["Space Needle", "Rome", "Megan Rapinoe", "Zürich", "x"]))
    return Fact(subject, f"{before} {{}} {after}".strip(), target="y")


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    some=st.lists(facts(), min_size=1, max_size=3),
    family=st.sampled_from(["gpt2", "llama", "gemma3", "falcon_alibi"]),
    window=st.integers(1, 5),
    memory=st.sampled_from([0.002, 0.01, 3.0]),
    chosen=st.sets(st.sampled_from(TRACE_KINDS), min_size=1),
)
def test_batches_and_company_change_nothing(tiny_lm, some, family, window, memory, chosen):
    """Several facts in one batch with little or much memory, or each alone with each kind alone: the same tables."""
    lm = tiny_lm(family)
    config = TraceConfig(kinds=tuple(chosen), window=window, samples=2, memory=memory)
    together = trace_all(lm, some, config, noise=NOISE, label="")
    assert len(together) == len(some)
    for fact, found in zip(some, together, strict=True):
        assert isinstance(found, CausalTrace)
        assert found.fact == fact
        for kind in chosen:
            alone = one(lm, fact, TraceConfig(kinds=(kind,), window=window, samples=2))
            assert_same(found.restored[kind], alone.restored[kind], alone.clean)
        assert found.corrupted == pytest.approx(alone.corrupted, rel=1e-5)


def test_one_thread_or_two(tiny_lm):
    lm = tiny_lm("gemma3")
    single = one(lm, LONG, TraceConfig())
    torch.set_num_threads(2)
    try:
        assert_traces_same(one(lm, LONG, TraceConfig()), single)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("family", DENSE)
def test_restoring_every_state_or_none(family, tiny_lm):
    """All states of a layer restored from the subject on: the clean run. None: the corrupted run. From any layer."""
    lm = tiny_lm(family)
    (trace,) = trace_all(lm, [LONG], TraceConfig(kinds=("hidden",), samples=3), noise=NOISE, label="")
    assert isinstance(trace, CausalTrace)
    noise = NOISE.draw(3, len(trace.subject), width(lm))
    runs = run(lm, [Statement(trace.token_ids, trace.subject, 0)], [(0, n) for n in noise], False, (), ())
    layers, pivot = lm.architecture.n_layers, trace.subject.start
    counts = [0, *[6] * layers]  # before each block but the first, and after the last: three clean, three corrupted

    def begin(layer: int, _: Tensor | None) -> Tensor:
        clean = runs.clean[layer - 1][[0, 0, 0], pivot:]
        return torch.cat([clean, runs.corrupted[layer - 1][:, pivot:]])

    rows = torch.tensor([0, 1, 2] * 2 * layers)
    states = climb(lm.model, lm.architecture, runs.prefix, pivot, rows, counts, begin)
    logits = head_logits(lm.model, lm.architecture, states, runs.prefix.as_tuple)
    found = logits.softmax(-1)[:, trace.answer_id].view(layers, 2, 3).mean(-1)
    assert found[:, 0].tolist() == pytest.approx([trace.clean] * layers, rel=1e-4)
    assert found[:, 1].tolist() == pytest.approx([trace.corrupted] * layers, rel=1e-4)


def test_tokens_before_the_subject_have_no_effect(tiny_lm):
    trace = one(tiny_lm("gpt2"), LONG, TraceConfig(kinds=TRACE_KINDS))
    slow = slow_way(tiny_lm("gpt2"), trace)
    for kind in TRACE_KINDS:
        assert trace.restored[kind][: trace.subject.start].eq(torch.tensor(trace.corrupted)).all()
        assert slow.cell(kind, trace.subject.start - 1, 1) == pytest.approx(trace.corrupted, rel=1e-5)


def test_the_model_is_left_as_it_was(tiny_lm):
    lm = tiny("gemma3")
    before = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    blocks = list(lm.model.get_submodule(lm.architecture.blocks))
    one(lm, SHORT, TraceConfig(kinds=TRACE_KINDS))
    assert list(lm.model.get_submodule(lm.architecture.blocks)) == blocks
    assert all(torch.equal(parameter, before[name]) for name, parameter in lm.model.named_parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())


def test_half_precision_stays_close(tiny_lm):
    full = one(tiny_lm("llama"), SHORT, TraceConfig())
    half = LanguageModel(tiny("llama").model.to(torch.bfloat16), tiny_lm("llama").tokenizer)
    rough = one(half, SHORT, TraceConfig())
    assert rough.clean == pytest.approx(full.clean, rel=0.2)
    for kind in full.kinds:
        torch.testing.assert_close(rough.restored[kind], full.restored[kind], atol=0.2 * full.clean, rtol=0)
