"""A pass that sees both sides leaves no trace, and survives what trainers do: recomputing, autocast, nesting."""

import copy

import pytest
import torch
from transformers import AttentionInterface

from families import tiny, tiny_model
from obverse.core import UnsupportedModel
from obverse.model import bidirectional
from obverse.model._pattern import Pattern
from obverse.model._rotary import Rotary, recognize
from obverse.model._triangles import attend
from obverse.model.bidirectional import BothSides

IDS = torch.tensor([[5, 9, 2, 77, 300, 41, 7, 12, 99, 14], [8, 8, 1, 500, 3, 12, 15, 66, 7, 23]])
VISIBLE = torch.tensor([[True] * 10, [True, True, False, True, True, True, False, True, True, False]])


def logits(model, **given):
    return model(input_ids=IDS, use_cache=False, **given).logits


def attributes(model):
    return {name: sorted(vars(module)) for name, module in model.named_modules()}


@pytest.mark.parametrize("family", ["llama", "gptj", "falcon_rotary", "falcon_alibi", "bloom", "mpt", "gemma3"])
def test_nothing_stays_behind(family):
    model = tiny_model(family)
    before, stock, settings = attributes(model), logits(model), model.config.to_dict()
    sides = BothSides.of(model)
    with pytest.raises(ZeroDivisionError), sides.seen(VISIBLE):
        assert not torch.equal(logits(model), stock)
        raise ZeroDivisionError
    assert attributes(model) == before
    assert model.config.to_dict() == settings
    assert model.config._attn_implementation == tiny_model(family).config._attn_implementation
    assert torch.equal(logits(model), stock)
    assert torch.equal(logits(copy.deepcopy(model)), stock)


@pytest.mark.parametrize("family", ["llama", "gptj", "gemma3", "falcon_rotary", "bloom", "mixtral"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_blocks_computed_again_see_what_they_saw(family, reentrant):
    """The backward pass comes after the context has ended."""
    gradients = []
    for checkpointed in (False, True):
        model = tiny_model(family).requires_grad_(True).train()
        for part in model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0  # recomputing would draw anew
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        sides = BothSides.of(model)
        with sides.seen(VISIBLE):
            one = logits(model).square().mean()
        with sides.seen(VISIBLE, prefix=torch.tensor([3, 0])):
            two = logits(model).square().mean()
        (one + two).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_torch_s_own_checkpoint_wrapper_is_followed(tiny_lm):
    """FSDP checkpoints blocks by wrapping them."""
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    gradients = []
    for wrapped in (False, True):
        model = tiny_model("llama").requires_grad_(True)
        sides = BothSides.of(model)
        if wrapped:
            model.model.layers[1] = checkpoint_wrapper(model.model.layers[1])
        with sides.seen(VISIBLE):
            loss = logits(model).square().mean()
        loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("family", ["llama", "gptj", "cohere", "falcon_new", "gemma3"])
def test_half_precision_is_near_full_precision(family):
    full = tiny_model(family)
    sides = BothSides.of(full)
    with torch.no_grad():
        with sides.seen(VISIBLE):
            expected = logits(full)
        with sides.seen(VISIBLE), torch.autocast("cpu", torch.bfloat16):
            mixed = logits(full)
        half = tiny_model(family).to(torch.bfloat16)
        with BothSides.of(half).seen(VISIBLE):
            found = logits(half)
        with sides.seen(VISIBLE, flip=False):
            wrong = logits(full)
    for result in (mixed, found):
        assert result.dtype == torch.bfloat16
        assert (result - expected).norm() < 0.5 * (wrong - expected).norm()


@pytest.mark.parametrize("family", ["llama", "gptj", "falcon_rotary", "bloom", "mpt"])
def test_contexts_may_be_nested_and_the_inner_holds(family, tiny_lm):
    model = tiny_lm(family).model
    sides, causal = BothSides.of(model), torch.tensor([0, 0])
    with torch.no_grad():
        with sides.seen(VISIBLE, prefix=causal):
            expected = logits(model)
        with sides.seen(VISIBLE):
            outer = logits(model)
            with sides.seen(VISIBLE, prefix=causal):
                assert torch.equal(logits(model), expected)
            assert torch.equal(logits(model), outer)
    assert not torch.equal(outer, expected)


def test_a_prefix_is_seen_whole_and_what_follows_only_from_behind(tiny_lm):
    model = tiny_lm("llama").model
    sides = BothSides.of(model)
    everything, prefix = torch.ones_like(VISIBLE), torch.tensor([4, 6])

    def run(ids):
        with torch.no_grad(), sides.seen(everything, prefix=prefix):
            return model(input_ids=ids, use_cache=False).logits

    before = run(IDS)
    for row, part in enumerate(prefix):
        for changed in range(10):
            other = IDS.clone()
            other[row, changed] = 450
            moved = (run(other) - before)[row].abs().amax(-1) > 1e-4
            expected = [changed < part or position >= changed for position in range(10)]
            assert moved.tolist() == expected


def test_positions_that_go_back_are_turned_by_their_distance(tiny_lm):
    """Two tokens swapped along with their positions are the same text to a model that goes by positions."""
    model = tiny_lm("llama").model
    sides = BothSides.of(model)
    order = torch.tensor([3, 0, 2, 1, 4, 9, 6, 7, 8, 5])
    with torch.no_grad(), sides.seen(VISIBLE):
        straight = logits(model)
    with torch.no_grad(), sides.seen(VISIBLE[:, order], positions=order[None]):
        mixed = model(input_ids=IDS[:, order], position_ids=order[None].expand(2, -1), use_cache=False).logits
    torch.testing.assert_close(mixed, straight[:, order], atol=1e-4, rtol=1e-4)


def test_positions_that_count_on_need_no_whole_masks():
    visible = torch.tensor([[True] * 4, [True, True, False, False]])
    assert Pattern.of(visible, None, torch.tensor([[0, 1, 2, 3], [4, 6, 6, 7]])).positions is None
    assert Pattern.of(visible, None, torch.tensor([[0, 1, 2, 3], [4, 6, 6, 0]])).positions is not None


@pytest.mark.parametrize("family", ["mistral", "gemma3", "gpt_neo"])
def test_a_window_ends_as_far_after_as_before(family):
    """In one block a change is felt by the tokens less than a window away, on both sides, and by no other."""
    ids = torch.arange(20, 50)[None]
    other = ids.clone()
    other[0, 15] = 400
    changes = (
        {"num_layers": 1, "attention_types": [[["local"], 1]]} if family == "gpt_neo" else {"num_hidden_layers": 1}
    )
    if family == "gemma3":
        changes["layer_types"] = ["sliding_attention"]
    model = tiny_model(family, **changes)
    everything = torch.ones(ids.shape, dtype=torch.bool)
    with torch.no_grad(), BothSides.of(model).seen(everything):
        one, two = (model(input_ids=x, use_cache=False).logits for x in (ids, other))
    moved = (one - two).abs().amax(-1)[0] > 1e-5
    assert moved.tolist() == [abs(position - 15) < 8 for position in range(30)]


def test_scaled_rotations_are_turned_as_far_as_plain_ones():
    """YaRN multiplies cosines and sines; turning back must not scale a second time."""
    yarn = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 32}
    model = tiny_model("llama", rope_parameters=yarn)
    cos, _ = model.model.rotary_emb(torch.zeros(1, 3, 32), torch.arange(3)[None])
    assert cos.max() > 1.1
    everything = torch.ones_like(VISIBLE)
    with torch.no_grad(), BothSides.of(model).seen(everything):
        found = logits(model)
        mirrored = model(input_ids=IDS.flip(1), use_cache=False).logits.flip(1)
    torch.testing.assert_close(mirrored, found, atol=1e-4, rtol=1e-4)


def test_blocks_without_positions_are_not_turned():
    model = tiny_model("smollm3", num_hidden_layers=4)  # every fourth block goes without
    rotations = list(BothSides.of(model).rotations.values())
    assert [rotary is None for rotary in rotations] == [False, False, False, True]


def test_a_wrapped_model_and_low_rank_weights_see_both_sides():
    peft = pytest.importorskip("peft")
    model = tiny_model("llama")
    sides = BothSides.of(model)
    with torch.no_grad(), sides.seen(VISIBLE):
        expected = logits(model)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    with torch.no_grad(), sides.seen(VISIBLE):
        torch.testing.assert_close(logits(wrapped), expected)


def test_a_model_whose_blocks_attend_by_themselves_is_refused():
    with pytest.raises(
        UnsupportedModel, match=r"has 3 blocks, of which 0 attend in a way that is known\.\nEvery block"
    ):
        BothSides.of(tiny_model("openai-gpt"))


def test_an_unknown_rotation_is_refused():
    draws = torch.Generator().manual_seed(0)
    states = [torch.randn(1, 2, 4, 8, generator=draws) for _ in range(2)]
    angles = torch.arange(4)[None, :, None] * torch.tensor([1.0, 0.5, 0.2, 0.1])
    with pytest.raises(UnsupportedModel, match=r"block 3 turns its queries and keys in a way that is not known"):
        recognize(angles.cos(), angles.sin(), states, [x.flip(-1) for x in states], "block 3")
    with pytest.raises(UnsupportedModel, match="all zero"):
        recognize(angles.cos(), angles.sin(), [x * 0 for x in states], states, "block 3")


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
@pytest.mark.parametrize("last", [True, False])
def test_a_rotation_is_recognized_wherever_it_lies(pairs, last):
    draws = torch.Generator().manual_seed(0)
    states = [torch.randn(2, 3, 5, 8, generator=draws) for _ in range(2)]
    angles = torch.arange(5)[None, :, None] * torch.tensor([1.0, 0.1])
    layout = Rotary(pairs, "all", last)
    turned = [layout.back(x, angles.cos(), angles.sin()) for x in states]
    assert recognize(angles.cos(), angles.sin(), states, turned, "a block") == layout
    assert recognize(angles.cos(), angles.sin(), states, states, "a block") is None


def test_positions_hidden_in_a_block_are_refused(tiny_lm, monkeypatch):
    """A block that gets no cosines but turns its queries nevertheless."""
    model = tiny_model("gpt2")
    kind = type(model.transformer.h[0].attn)
    own = kind.forward

    def turning(self, hidden_states, *args, **kwargs):
        return own(self, hidden_states * torch.arange(1, hidden_states.shape[1] + 1)[:, None], *args, **kwargs)

    monkeypatch.setattr(kind, "forward", turning)
    with pytest.raises(UnsupportedModel, match=r"transformer\.h\.0\.attn makes its queries and keys depend on"):
        BothSides.of(model)


def test_earlier_tokens_in_a_cache_are_refused():
    states = torch.zeros(1, 2, 5, 4)
    pattern = Pattern.of(torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(UnsupportedModel, match="3 tokens was given 5 queries and 5 keys"):
        attend(pattern, None, states, states, states)


def test_mpt_refuses_positions_of_each_row():
    sides = BothSides.of(tiny_model("mpt"))
    backwards = torch.arange(10).flip(0)[None]
    with pytest.raises(UnsupportedModel, match="one for all rows"), sides.seen(VISIBLE, positions=backwards):
        pass


def test_a_query_that_sees_nothing_gives_numbers(tiny_lm):
    model = tiny_model("llama").requires_grad_(True)
    nobody = torch.zeros_like(VISIBLE)
    with BothSides.of(model).seen(nobody):
        found = logits(model)
    found.square().mean().backward()
    assert found.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_attention_is_registered_under_one_name(tiny_lm):
    BothSides.of(tiny("llama").model)
    assert AttentionInterface()[bidirectional.NAME] is bidirectional.interface


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [1, 2, 37, 64])
def test_the_kernel_on_cuda_gives_what_the_definition_gives(dtype, length):
    draws = torch.Generator().manual_seed(0)
    states = [torch.randn(2, 4, length, 16, generator=draws).to("cuda", dtype).requires_grad_() for _ in range(3)]
    angles = torch.arange(length, device="cuda")[None, :, None] * torch.tensor([1.0, 0.1], device="cuda")
    rotary, visible = Rotary("halves", "all"), torch.rand(2, length, generator=draws) < 0.8
    visible[:, 0] = True
    results = []
    for fused in (True, False):
        pattern = Pattern.of(visible.cuda(), fused=fused)
        out = attend(pattern, lambda x: rotary.back(x, angles.cos(), angles.sin()), *states)
        results.append((out, *torch.autograd.grad(out.float().square().sum(), states)))
    tolerance = 1e-4 if dtype is torch.float32 else 5e-2
    torch.testing.assert_close(results[0], results[1], atol=tolerance, rtol=tolerance)
