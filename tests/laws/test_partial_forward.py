"""Running only the blocks and columns that are needed gives what the full forward gives."""

from collections.abc import Sequence
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from families import DENSE, EXPERTS, LAYERS, PROBED, UNLISTED_EXPERTS, WINDOW, tiny
from obverse.core import UnsupportedModel
from obverse.model import intervene
from obverse.model.language_model import LanguageModel
from obverse.model.partial import Rows, Suffix, logits, prepare
from obverse.model.tokens import Padded, pad

EVERY = {**DENSE, **EXPERTS, **PROBED, **UNLISTED_EXPERTS}
SHAPES = {"long prefix": ([26, 17, 30], [20, 11, 22]), "no prefix": ([5, 4, 9], [0, 0, 0])}
"""Lengths and pivots; the long prefixes are longer than any sliding window, and unequal."""


def random_rows(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, 500, (length,), generator=generator).tolist() for length in lengths]


def aligned(rows: Sequence[Sequence[int]], pivots: Sequence[int]) -> tuple[Padded, Rows, list[tuple[int, int]]]:
    """Return the rows with pivots in one column, all states from there on, and the same by row and token."""
    places = [(i, token) for i, row in enumerate(rows) for token in range(pivots[i], len(row))]
    read = Rows(torch.tensor([i for i, _ in places]), torch.tensor([token - pivots[i] for i, token in places]))
    return pad(rows, 0, torch.device("cpu"), pivots), read, places


def full(lm: LanguageModel, rows: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> Tensor:
    """Return logits by the plain forward pass of one row at a time."""
    each = [lm.model(input_ids=torch.tensor([row]), use_cache=False).logits[0] for row in rows]
    return torch.stack([each[i][token] for i, token in places])


def assert_same(found: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance * float(wanted.abs().max()), rtol=0)


def check(lm: LanguageModel, layer: int, lengths: Sequence[int], pivots: Sequence[int]) -> None:
    rows = random_rows(lengths)
    padded, read, places = aligned(rows, pivots)
    with torch.no_grad():
        suffix, first = prepare(lm.model, lm.architecture, padded, layer, max(pivots), read)
        wanted = full(lm, rows, places)
        assert first is not None
        assert_same(first, wanted)
        assert_same(logits(lm.model, lm.architecture, suffix, suffix.hidden, read), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", EVERY)
def test_partial_equals_full(family, shape, tiny_lm):
    for layer in range(LAYERS + 1):
        check(tiny_lm(family), layer, *SHAPES[shape])


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "gemma3", "falcon_rotary", "opt", "phi3"])
def test_eager_attention(family, tiny_lm):
    lm = tiny_lm(family, attn_implementation="eager")
    assert lm.model.config._attn_implementation == "eager"
    for layer in (0, 2):
        check(lm, layer, *SHAPES["long prefix"])


@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3", "gpt_neo", "starcoder2"])
def test_the_window_is_shorter_than_the_prefix(family, tiny_lm):
    """Otherwise `test_partial_equals_full` would say nothing about sliding windows."""
    lm = tiny_lm(family)
    row = random_rows([LAYERS * WINDOW + 2])[0]
    other = [row[0] + 1, *row[1:]]
    ends = [lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1] for ids in (row, other)]
    only_windows = family in ("mistral", "starcoder2")
    assert torch.equal(*ends) == only_windows
    assert min(SHAPES["long prefix"][1]) > WINDOW


@st.composite
def batches(draw):
    rows = draw(st.lists(st.tuples(st.integers(0, 14), st.integers(1, 8)), min_size=1, max_size=4))
    return [pivot + rest for pivot, rest in rows], [pivot for pivot, _ in rows], draw(st.integers(0, LAYERS))


@pytest.mark.parametrize("family", ["gpt2", "bloom", "gemma3", "llama", "opt_projected"])
@given(batch=batches())
@settings(max_examples=20, deadline=None)
def test_any_lengths_and_pivots(family, batch, tiny_lm):
    lengths, pivots, layer = batch
    check(tiny_lm(family), layer, lengths, pivots)


def prepared(
    lm: LanguageModel, layer: int = 1
) -> tuple[list[list[int]], list[int], Suffix, Rows, list[tuple[int, int]]]:
    lengths, pivots = SHAPES["long prefix"]
    rows = random_rows(lengths)
    padded, read, places = aligned(rows, pivots)
    suffix, _ = prepare(lm.model, lm.architecture, padded, layer, max(pivots))
    return rows, pivots, suffix, read, places


@pytest.mark.parametrize("layer", [1, LAYERS])
@pytest.mark.parametrize("family", [*DENSE, "codegen", "mpt"])
def test_a_change_and_its_gradient(family, layer, tiny_lm):
    """A vector added to the pivots' states does what it does through an intervention on the full model."""
    lm = tiny_lm(family)
    rows, pivots, suffix, read, places = prepared(lm, layer)
    generator = torch.Generator().manual_seed(1)
    change = (0.3 * torch.randn(len(rows), 32, generator=generator)).requires_grad_()
    weights = torch.randn(len(places), 512, generator=generator)

    hidden = torch.cat([(suffix.hidden[:, 0] + change)[:, None], suffix.hidden[:, 1:]], 1)
    found = logits(lm.model, lm.architecture, suffix, hidden, read)
    (gradient,) = torch.autograd.grad((found * weights).sum(), change)

    wanted: list[Tensor] = []
    for i, row in enumerate(rows):
        spot = torch.zeros(len(row), 1)
        spot[pivots[i]] = 1
        changes = {lm.architecture.block(layer - 1): lambda _, out, spot=spot, i=i: out + spot * change[i]}
        with intervene(lm.model, changes):
            wanted.append(lm.model(input_ids=torch.tensor([row]), use_cache=False).logits[0, pivots[i] :])
    (wanted_gradient,) = torch.autograd.grad((torch.cat(wanted) * weights).sum(), change)

    assert_same(found.detach(), torch.cat(wanted).detach())
    assert_same(gradient, wanted_gradient)
    plain = logits(lm.model, lm.architecture, suffix, suffix.hidden, read)
    assert float((found - plain).detach().abs().max()) > 0.01


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "bloom"])
def test_rows_do_not_know_each_other(family, tiny_lm):
    lm = tiny_lm(family)
    _, _, suffix, read, places = prepared(lm)
    every = logits(lm.model, lm.architecture, suffix, suffix.hidden, read)
    for chosen in ([1], [2, 0]):
        part = suffix.select(torch.tensor(chosen))
        where = [(n, int(i)) for n, row in enumerate(chosen) for i in (read.rows == row).nonzero()]
        some = Rows(torch.tensor([n for n, _ in where]), read.columns[[i for _, i in where]])
        assert_same(logits(lm.model, lm.architecture, part, part.hidden, some), every[[i for _, i in where]])
    other = suffix.hidden.clone()
    other[0] += 1
    changed = logits(lm.model, lm.architecture, suffix, other, read)
    theirs = [i for i, (row, _) in enumerate(places) if row != 0]
    assert torch.equal(changed[theirs], every[theirs])


def test_a_suffix_can_be_run_again(tiny_lm):
    lm = tiny_lm("llama")
    _, _, suffix, read, _ = prepared(lm)
    first, second = (logits(lm.model, lm.architecture, suffix, suffix.hidden, read) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_as_before(broken):
    lm = tiny("llama")
    _, _, suffix, read, _ = prepared(lm, 2)
    before = list(lm.model.named_modules())

    def fail(*_: Tensor) -> Tensor:
        raise KeyboardInterrupt

    stop = intervene(lm.model, {lm.architecture.mlp_out(2): fail}) if broken else nullcontext()
    with stop, pytest.raises(KeyboardInterrupt) if broken else nullcontext():
        logits(lm.model, lm.architecture, suffix, suffix.hidden, read)
    after = list(lm.model.named_modules())
    assert [name for name, _ in before] == [name for name, _ in after]
    assert all(old is new for (_, old), (_, new) in zip(before, after, strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())


def test_blocks_below_do_not_run(tiny_lm):
    lm = tiny_lm("gpt2")
    _, _, suffix, read, _ = prepared(lm, 2)
    ran: list[int] = []

    def noted(layer: int):
        return lambda _, output: ran.append(layer) or output

    with intervene(lm.model, {lm.architecture.block(i): noted(i) for i in range(LAYERS)}):
        logits(lm.model, lm.architecture, suffix, suffix.hidden, read)
    assert ran == [2]


@pytest.mark.parametrize("layer", [-1, LAYERS + 1])
def test_layer_out_of_range(layer, tiny_lm):
    lm = tiny_lm("gpt2")
    padded, _, _ = aligned([[1, 2, 3]], [1])
    with pytest.raises(UnsupportedModel, match=f"Layer {layer} is out of range"):
        prepare(lm.model, lm.architecture, padded, layer, 1)
