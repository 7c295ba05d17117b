"""Laws of attention to both sides, in every family, and of the two kernel calls against the definition."""

from functools import cache

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from families import FAMILIES
from obverse.model._pattern import Pattern
from obverse.model._rotary import Rotary
from obverse.model._triangles import attend
from obverse.model.bidirectional import BothSides

LEARNED = ("gpt2", "gpt_neo", "opt", "opt_projected", "opt_late_norm", "xglm", "gpt_bigcode", "biogpt")
SUPPORTED = [family for family in FAMILIES if family != "openai-gpt"]
BY_DISTANCE = [family for family in SUPPORTED if family not in LEARNED]

# Longer than the sliding windows of the families that have one.
IDS = torch.tensor([[5, 9, 2, 77, 300, 41, 7, 12, 99, 14, 3, 63], [8, 8, 1, 500, 3, 12, 15, 66, 7, 23, 50, 4]])
VISIBLE = torch.ones(IDS.shape, dtype=torch.bool)


@pytest.fixture(scope="module")
def run(tiny_lm):
    """Return a function from (family, ids, who is visible, how) to logits."""
    sides = cache(lambda family: BothSides.of(tiny_lm(family).model))

    def logits(family, ids=IDS, visible=VISIBLE, **how):
        with torch.no_grad(), sides(family).seen(visible, **how):
            return tiny_lm(family).model(input_ids=ids, use_cache=False).logits

    return logits


def assert_near(found, expected, *, relative=1e-5):
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("family", BY_DISTANCE)
def test_a_mirrored_row_gives_mirrored_outputs(family, run):
    visible = VISIBLE.clone()
    visible[0, 3] = visible[1, 0] = False
    assert_near(run(family, IDS.flip(1), visible.flip(1)).flip(1), run(family, visible=visible))
    assert (run(family) - run(family, prefix=torch.tensor([0, 0]))).abs().max() > 0.1  # and both sides were seen


@pytest.mark.parametrize("family", SUPPORTED)
def test_under_a_causal_mask_attention_is_the_model_s_own(family, run, tiny_lm):
    stock = tiny_lm(family).model(input_ids=IDS, use_cache=False).logits
    assert_near(run(family, prefix=torch.tensor([0, 0])), stock)
    # Beside a row that sees both sides, a causal one goes the same way as that.
    assert_near(run(family, prefix=torch.tensor([12, 0]))[1], stock[1])
    assert_near(run(family, prefix=torch.tensor([12, 0]))[0], run(family)[0])


@pytest.mark.parametrize("family", SUPPORTED)
def test_what_stands_for_a_masked_token_matters_to_nobody_else(family, run):
    visible = VISIBLE.clone()
    visible[0, 3] = visible[1, 7] = visible[1, 0] = False
    other = IDS.masked_fill(~visible, 111)
    one, two = run(family, IDS, visible), run(family, other, visible)
    assert_near(one[visible], two[visible])
    assert (one - two)[~visible].abs().max() > 0.1


@pytest.mark.parametrize("family", BY_DISTANCE)
def test_padding_before_a_row_changes_nothing(family, run):
    padding = torch.full((2, 3), 9)
    visible = torch.cat([padding < 0, VISIBLE], 1)
    assert_near(run(family, torch.cat([padding, IDS], 1), visible)[:, 3:], run(family))


@pytest.mark.parametrize("family", SUPPORTED)
def test_two_kernel_calls_give_what_the_definition_gives(family, run):
    visible = VISIBLE.clone()
    visible[0, 5:7] = visible[1, 0] = False
    assert_near(run(family, visible=visible), run(family, visible=visible, fused=False))


@pytest.mark.parametrize("family", ["llama", "gptj", "gpt_neox", "falcon_rotary"])
def test_without_the_flip_the_result_is_another(family, run):
    assert (run(family) - run(family, flip=False)).abs().max() > 0.1


@st.composite
def calls(draw):
    """Draw a pattern, a window and a number of shared heads."""
    batch, length = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    rows = st.lists(st.booleans(), min_size=length, max_size=length)
    visible = torch.tensor([draw(rows) for _ in range(batch)])
    prefix = draw(st.none() | st.lists(st.integers(0, length), min_size=batch, max_size=batch))
    places = st.lists(st.integers(0, 12), min_size=length, max_size=length)
    positions = torch.tensor([draw(places) for _ in range(batch)]) if draw(st.booleans()) else None
    window = draw(st.none() | st.integers(1, length))
    return visible, None if prefix is None else torch.tensor(prefix), positions, window, draw(st.sampled_from([1, 2]))


@settings(max_examples=60)
@given(calls(), st.integers(0, 2**31))
@example((torch.tensor([[True, True, False]]), None, torch.tensor([[0, 1, 0]]), None, 1), 0)  # places that jump back
def test_scores_depend_on_distance_alone(call, seed):
    """Attention by pattern = the softmax of q_m R(-|m - n|) k_n, spelled out in complex numbers; gradients too."""
    visible, prefix, positions, window, shared = call
    batch, length = visible.shape
    draws = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(batch, heads, length, 6, dtype=torch.float64, generator=draws, requires_grad=True)
        for heads in (2, 2 // shared, 2 // shared)
    )
    index = torch.arange(length)
    places = index.expand(batch, length) if positions is None else positions
    seen = visible[:, None, :] & ((index <= index[:, None]) | _ahead(prefix, index))
    if window is not None:
        seen = seen & ((index - index[:, None]).abs() < window)
    asked = seen.any(-1)[:, None, :, None]
    assume(asked.any())

    speeds = torch.tensor([1.0, 0.3], dtype=torch.float64)  # of 6 coordinates, 4 are turned
    angles = places[:, :, None] * speeds
    scaled = [1.3 * x.repeat(1, 1, 2) for x in (angles.cos(), angles.sin())]  # as YaRN scales them
    rotary = Rotary("halves", "first half")

    def definition():
        distance = (places[:, None, :] - places[:, :, None]).abs()[:, None, ..., None]
        numbers = torch.complex(query[..., :2], query[..., 2:4])[:, :, :, None].conj()
        keys, values = (x.repeat_interleave(shared, 1) for x in (key, value))
        numbers = numbers * torch.complex(keys[..., :2], keys[..., 2:4])[:, :, None]
        turned = (numbers * torch.exp(-1j * distance * speeds)).real.sum(-1) * 1.3**2
        scores = turned + query[..., 4:] @ keys[..., 4:].mT
        return (scores * 0.4).masked_fill(~seen[:, None], -torch.inf).softmax(-1).nan_to_num() @ values

    def attended(fused):
        pattern = Pattern.of(visible, prefix, positions, fused=fused)
        turned = [_turned(x, scaled) for x in (query, key)]
        return attend(pattern, lambda x: rotary.back(x, *scaled), *turned, value, scale=0.4, window=window)

    weights = torch.randn(batch, 2, length, 6, dtype=torch.float64, generator=draws) * asked
    expected = definition()
    gradients = torch.autograd.grad((expected * weights).sum(), (query, key, value))
    for fused in (True, False):
        found = attended(fused)
        torch.testing.assert_close(found * asked, expected * asked)
        own = torch.autograd.grad((found * weights).sum(), (query, key, value))
        torch.testing.assert_close(own, gradients)


def _ahead(prefix, index):
    return torch.tensor(True) if prefix is None else (index < prefix[:, None])[:, None, :]


def _turned(states, cos_sin):
    cos, sin = (x[:, None] for x in cos_sin)
    first, second, rest = states[..., :2], states[..., 2:4], states[..., 4:]
    return torch.cat([states[..., :4] * cos + torch.cat([-second, first], -1) * sin, rest], -1)
