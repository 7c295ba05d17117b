"""The value head inside a model, and apart from it in files."""

import pytest
import torch
from accelerate.utils.operations import convert_to_fp32
from torch.utils import _pytree as pytree
from transformers import AutoModelForCausalLM

from families import DENSE, tiny
from obverse.core import ConfigError
from obverse.training._values import ValueHeadConfig, attach_value_head, check_value_head, token_values

IDS = torch.tensor([[5, 9, 12, 80, 41], [7, 7, 300, 2, 4]])


def _with_head(family="llama", **settings):
    lm = tiny(family)
    head = attach_value_head(lm, ValueHeadConfig(**settings))
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(1))
    return lm, head


@pytest.mark.parametrize("family", sorted(DENSE))
def test_values_are_read_off_what_the_projection_is_given(family):
    lm, head = _with_head(family)
    caught = []
    watch = lm.head.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    with torch.no_grad():
        output = lm.model(IDS)
        plain = tiny(family).model(IDS)
    watch.remove()
    torch.testing.assert_close(token_values(output), -(caught[0] @ head.weight[0]).sigmoid())
    assert token_values(output).shape == IDS.shape
    torch.testing.assert_close(output.logits, plain.logits)


def test_an_output_survives_what_wrappers_do_to_it():
    lm, _ = _with_head()
    output = lm.model(IDS)
    leaves, shape = pytree.tree_flatten(output)
    for rebuilt in (pytree.tree_unflatten(leaves, shape), convert_to_fp32(output)):
        torch.testing.assert_close(token_values(rebuilt), token_values(output))
        torch.testing.assert_close(rebuilt.logits, output.logits)


def test_the_gradient_reaches_the_model_unless_detached():
    for detached in (False, True):
        lm, head = _with_head(is_detached=detached)
        lm.model.requires_grad_(True)
        token_values(lm.model(IDS)).sum().backward()
        assert head.weight.grad.any()
        below = lm.model.model.layers[0].mlp.down_proj.weight.grad
        assert (below is None) == detached


def test_a_model_with_a_head_generates_as_one_without():
    lm, _ = _with_head()
    settings = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(lm.model.generate(IDS, **settings), tiny("llama").model.generate(IDS, **settings))


def test_what_is_saved_is_a_plain_model(tmp_path):
    lm, _ = _with_head()
    lm.model.save_pretrained(tmp_path)
    read, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["unexpected_keys"]
    assert not report["missing_keys"]
    assert not hasattr(read, "value_head")
    torch.testing.assert_close(read(IDS).logits, lm.model(IDS).logits)


def test_a_half_precision_model_has_values():
    lm = tiny("llama")
    lm.model.bfloat16()
    attach_value_head(lm, ValueHeadConfig())
    assert (token_values(lm.model(IDS)) == -0.5).all()
    lm, _ = _with_head()
    with torch.autocast("cpu", torch.bfloat16):
        assert token_values(lm.model(IDS)).isfinite().all()


def test_two_heads_on_a_model_are_refused():
    lm, _ = _with_head()
    with pytest.raises(ConfigError, match="has a value head already"):
        attach_value_head(lm, ValueHeadConfig())


def test_a_head_that_is_cut_to_pieces_is_refused():
    _, head = _with_head()
    head.weight = torch.nn.Parameter(head.weight.detach().flatten()[:7])
    with pytest.raises(ConfigError, match="FSDP 2"):
        check_value_head(head)


@pytest.mark.parametrize("wrapper", ["ddp", "fsdp"])
def test_a_wrapped_model_trains_its_head_alike(wrapper):
    """DDP looking for unused parameters, and FSDP 2, take an output apart and build it anew."""
    gradients = []
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        for wrapped in (False, True):
            lm, head = _with_head()
            lm.model.requires_grad_(True)
            model = _wrapped(lm.model, wrapper) if wrapped else lm.model
            (token_values(model(IDS)).square().sum()).backward()
            gradient = head.weight.grad
            gradients.append(gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient)
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(*gradients)


def _wrapped(model, wrapper):
    if wrapper == "ddp":
        return torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
    from torch.distributed.fsdp import fully_shard

    mesh = torch.distributed.init_device_mesh("cpu", (1,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)
