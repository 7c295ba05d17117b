"""KE's own parts: its low-rank change is the paper's gated gradient, and it depends on the words of the fact."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from learned_editors import NEEDLE
from obverse.editing._gradients import FactGradient, Factors, ask, gradients, matrices
from obverse.editing.ke import Conditioner, KeNetwork, Normed


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(2, 6), st.integers(0, 99))
def test_the_change_is_the_gated_gradient_of_the_paper(tokens, out, into, seed):
    generator = torch.Generator().manual_seed(seed)
    conditioner = Conditioner((out, into), 4, 8, generator)
    condition = torch.randn(4, generator=generator)
    factors = Factors(torch.randn(tokens, into, generator=generator), torch.randn(tokens, out, generator=generator))
    a, b, c, d, gate = conditioner.outer(conditioner.inner(condition).tanh()).split([out, into, out, into, 1])
    gradient = factors.delta.T @ factors.x
    expected = gate.sigmoid() * (gradient * torch.outer(a.softmax(0), b) + torch.outer(c.softmax(0), d))
    change = conditioner(condition, factors)
    assert torch.allclose(change.dense(), expected, atol=1e-5)
    assert change.left.shape == (out, tokens + 1)


def test_the_condition_is_read_from_the_words():
    lm = tiny("llama")
    shapes = matrices(lm, [2])
    network = KeNetwork(shapes, 32, 8, 8, seed=0)
    (gradient,) = gradients(lm, list(shapes), ask(lm, 2, [(NEEDLE.text, NEEDLE.target)]), [0])
    other = FactGradient(gradient.factors, gradient.embedded.flip(0), gradient.nll)
    name = next(iter(shapes))
    assert not torch.equal(network(gradient)[name].left, network(other)[name].left)
    assert torch.equal(network(gradient)[name].left, KeNetwork(shapes, 32, 8, 8, seed=0)(gradient)[name].left)
    assert not torch.equal(network(gradient)[name].left, KeNetwork(shapes, 32, 8, 8, seed=1)(gradient)[name].left)


def test_weight_normalization_starts_as_a_plain_layer_and_ignores_the_direction_s_length():
    layer = Normed(5, 3, torch.Generator().manual_seed(0))
    states = torch.randn(5, generator=torch.Generator().manual_seed(1))
    before = layer(states)
    assert torch.allclose(before, layer.direction @ states + layer.bias, atol=1e-6)
    with torch.no_grad():
        layer.direction *= 3
    assert torch.allclose(layer(states), before, atol=1e-6)
