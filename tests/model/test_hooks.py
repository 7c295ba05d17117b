"""Hooks read and replace what modules give, and are always removed."""

import pytest
import torch
from torch import nn

from families import DENSE, tiny
from obverse.core import UnsupportedModel
from obverse.model import Site, capture, intervene
from obverse.model.hooks import calls_in_order, capture_modules, find_modules, replace_input

INPUTS = {"input_ids": torch.tensor([[5, 9, 2, 77], [8, 1, 500, 3]])}


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def run(lm) -> torch.Tensor:
    return lm.model(**INPUTS, use_cache=False).logits


class Odd(nn.Module):
    """Gives its states in a tuple, changes them in place later, and never runs one of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.unused, self.last = Doubled(), nn.Identity(), nn.Identity()

    def forward(self, hidden_states: torch.Tensor, use_cache: bool = False) -> torch.Tensor:
        states, note = self.first(hidden_states=hidden_states)
        assert note == "note"
        states.add_(1)
        return self.last(states)


class Doubled(nn.Module):
    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, str]:
        return 2 * hidden_states, "note"


def test_all_names_are_checked_before_any_is_used(tiny_lm):
    lm = tiny_lm("llama")
    names = ["model.layers.0", "model.layers.7", "nonsense"]
    with pytest.raises(UnsupportedModel, match=r"no module named model\.layers\.7, nonsense\."):
        find_modules(lm.model, names)
    with pytest.raises(UnsupportedModel, match="nonsense"), intervene(lm.model, dict.fromkeys(names, max)):
        pytest.fail("the context must not open")
    with pytest.raises(UnsupportedModel, match="nonsense"):
        capture_modules(lm.model, INPUTS, {name: name for name in names})
    assert hooks(lm.model) == 0


def test_hooks_are_removed_after_an_exception(tiny_lm):
    lm = tiny_lm("gpt2")

    def fail(*_: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    clean = run(lm)
    with pytest.raises(ZeroDivisionError), intervene(lm.model, {"transformer.h.1": fail}):
        run(lm)
    with pytest.raises(ZeroDivisionError), replace_input(lm.model.lm_head, fail):
        run(lm)
    with pytest.raises(ZeroDivisionError), intervene(lm.model, {"transformer.h.1": fail}):
        capture(lm.model, lm.architecture, INPUTS, [Site(2, "hidden")])
    with pytest.raises(ZeroDivisionError), intervene(lm.model, {"transformer.h.1.mlp": fail}):
        calls_in_order(lm.model, INPUTS, "transformer.h.1")
    assert hooks(lm.model) == 0
    assert torch.equal(run(lm), clean)


def test_what_is_caught_is_a_copy():
    found = capture_modules(Odd(), {"hidden_states": torch.ones(2)}, {"first": "first", "last": "last"})
    assert found["first"].tolist() == [2, 2]
    assert found["last"].tolist() == [3, 3]


def test_a_module_that_does_not_run_is_named():
    with pytest.raises(UnsupportedModel, match="did not run unused"):
        capture_modules(Odd(), {"hidden_states": torch.ones(2)}, {"a": "first", "b": "unused"}, stop=True)


def test_inputs_given_by_name_are_read_and_replaced():
    odd = Odd()
    assert capture_modules(odd, {"hidden_states": torch.ones(2)}, {"x": "first"}, inputs_of={"x"})["x"].tolist() == [
        1,
        1,
    ]
    with replace_input(odd.first, lambda states: states + 4):
        assert odd(torch.ones(2)).tolist() == [11, 11]
    with intervene(odd, {"first": lambda given, gave: given + gave}):
        assert odd(torch.ones(2)).tolist() == [4, 4]


def test_stop_ends_the_pass(tiny_lm):
    lm = tiny_lm("llama")
    ran: list[int] = []
    changes = {f"model.layers.{i}": lambda _, output, i=i: ran.append(i) or output for i in range(3)}
    sites = [Site(1, "key"), Site(0, "hidden")]
    whole = capture(lm.model, lm.architecture, INPUTS, sites)
    with intervene(lm.model, changes):
        stopped = capture(lm.model, lm.architecture, INPUTS, sites, stop=True)
    assert ran == [0]
    assert all(torch.equal(stopped[site], whole[site]) for site in sites)
    assert hooks(lm.model) == 0


@pytest.mark.parametrize("family", DENSE)
def test_states_have_one_shape_in_all_families(family, tiny_lm):
    """OPT flattens batch and position; BLOOM's modules add the residual inside; Falcon adds in place."""
    lm = tiny_lm(family)
    sites = [Site(1, kind) for kind in ("hidden", "attn", "mlp", "key")]
    found = capture(lm.model, lm.architecture, INPUTS, sites)
    assert [found[site].shape[:2] for site in sites] == [(2, 4)] * 4
    assert [found[site].shape[2] for site in sites] == [32, 32, 32, lm.architecture.inner]
    projection = lm.model.get_submodule(lm.architecture.mlp_out(1))
    if lm.architecture.layout.mlp_out == lm.architecture.layout.mlp_write:
        torch.testing.assert_close(projection(found[sites[3]]), found[sites[2]])


@pytest.mark.parametrize("family", ["gptj", "gpt_neo", "bloom", "falcon_new", "llama", "gpt2"])
@pytest.mark.parametrize("kind", ["hidden", "attn", "mlp"])
def test_intervening_replaces_a_state(family, kind, tiny_lm):
    """Also where a block gives a tuple; what comes after sees the new state."""
    lm = tiny_lm(family)
    clean = run(lm)
    site = Site(1, kind)
    old = capture(lm.model, lm.architecture, INPUTS, [site])[site]
    shift = torch.linspace(-1, 1, 32)
    with intervene(lm.model, {site.module(lm.architecture): lambda _, output: output + shift}):
        changed, seen = run(lm), capture(lm.model, lm.architecture, INPUTS, [Site(1, "hidden"), site])
    with intervene(lm.model, {site.module(lm.architecture): lambda _, output: output.clone()}):
        same = run(lm)
    assert torch.equal(same, clean)
    assert float((changed - clean).abs().max()) > 0.01
    torch.testing.assert_close(seen[site], old + shift)
    assert hooks(lm.model) == 0


def test_intervening_lets_gradients_through():
    lm = tiny("llama")
    change = torch.zeros(32, requires_grad=True)
    with intervene(lm.model, {"model.layers.0": lambda _, output: output + change}):
        (gradient,) = torch.autograd.grad(run(lm).sum(), change)
    assert float(gradient.abs().max()) > 0


def test_calls_come_in_the_order_they_end(tiny_lm):
    calls = calls_in_order(tiny_lm("llama").model, INPUTS, "model.layers.1")
    names = [call.name for call in calls]
    assert names[-1] == ""
    assert (
        names.index("self_attn.o_proj") < names.index("self_attn") < names.index("mlp.down_proj") < names.index("mlp")
    )
    assert all(call.gave is not None for call in calls)
