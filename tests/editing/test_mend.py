"""MEND's own parts: it begins as a gradient step, and its running statistics are those of all tokens seen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from families import tiny
from learned_editors import NEEDLE
from obverse.editing._gradients import Factors, ask, gradients, matrices
from obverse.editing.mend import Mend, MendConfig, MendNetwork, Transform


def test_an_unfitted_network_without_normalization_takes_a_gradient_step():
    lm = tiny("llama")
    shapes = matrices(lm, [1, 2])
    network = MendNetwork(shapes, 8, 0.25, seed=3)
    for transform in network.transforms.values():
        transform.count.fill_(2)
        transform.spread.fill_(1)
    (gradient,) = gradients(lm, list(shapes), ask(lm, 1, [(NEEDLE.text, NEEDLE.target)]), [0])
    for name, change in network(gradient).items():
        factors = gradient.factors[name]
        assert torch.allclose(change.dense(), -0.25 * factors.delta.T @ factors.x, rtol=1e-4, atol=1e-7)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 1), st.integers(0, 99))
def test_running_statistics_are_those_of_all_tokens(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    transform = Transform(3, 2, 4, 1, generator)
    seen = []
    for size in sizes:
        x, delta = (torch.randn(size, n, generator=generator) * scale for n, scale in ((3, 5.0), (2, 1e-4)))
        transform.observe(Factors(x, delta))
        seen.append(torch.cat([x, delta], 1))
    tokens = torch.cat(seen).double()
    normal = (tokens - tokens.mean(0)) / (tokens.std(0) + 1e-7)
    x, delta = transform(Factors(torch.cat(seen)[:, :3], torch.cat(seen)[:, 3:]), 0)
    assert torch.allclose(torch.cat([x, delta], 1), normal.float(), atol=1e-4)


def test_matrices_of_one_shape_share_a_transform_but_not_scale_and_shift():
    lm = tiny("llama")
    network = MendNetwork(matrices(lm, [0, 1, 2]), 8, 1e-4, seed=0)
    assert {name: len(t.layers[0].scale) for name, t in network.transforms.items()} == {"48x32": 6, "32x48": 3}
    assert network.rates.tolist() == pytest.approx([1e-4] * 9)
    (gradient,) = gradients(lm, list(network._place), ask(lm, 0, [(NEEDLE.text, NEEDLE.target)]), [0])
    network.observe(gradient)
    before = network(gradient)
    with torch.no_grad():
        network.transforms["48x32"].layers[1].shift[1] = 1.0  # of the second of the six
    changed = [name for name, change in network(gradient).items() if not torch.equal(change.left, before[name].left)]
    assert changed == ["model.layers.0.mlp.up_proj"]


def test_the_rank_follows_the_model():
    assert Mend(MendConfig()).sizes({"a": (6400, 1600), "b": (1600, 6400)}) == {"rank": 1920}
    assert Mend(MendConfig(rank=7)).sizes({"a": (6400, 1600)}) == {"rank": 7}
