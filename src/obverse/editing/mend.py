"""MEND: model editor networks with gradient decomposition (Mitchell et al. 2022, arXiv 2110.11309).

The gradient of a matrix is a sum over tokens of δ xᵀ. A network g, fitted beforehand, maps each pair to another, and
the sum of those, times a rate a that is learned for each matrix, is the change (section 3):

    ΔW = -a Σ_t δ'_t x'_tᵀ        (x', δ') = g((x - mean) / deviation, (δ - mean) / deviation)

    g: z ↦ z + relu(s ⊙ (U V z + b) + t), twice; U starts at zero, so g starts as the identity.

Matrices of one shape share g and the running mean and deviation; s and t are their own. The edit is of low rank: one
direction a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from obverse.editing._gradients import FactGradient, Factors
from obverse.editing._hypernetwork import LearningConfig, Network
from obverse.editing._statistics import Statistics
from obverse.editing.edit import LowRank
from obverse.editing.learned import LearnedConfig, LearnedEditor

RANK_SHARE = 0.24
"""Rank of U V as a share of in + out, where none is given: 1920 of 1600 + 6400, as released for GPT-2 XL."""

_EPS = 1e-7


class MendFit(LearningConfig):
    """How MEND is fitted."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Adam's learning rate of g (released: 1e-6, for hundreds of thousands of steps)."""
    rate_learning_rate: float = Field(default=1e-5, gt=0)
    """Adam's learning rate of the rates (released: 1e-4)."""
    edit_rate: float = Field(default=1e-4, gt=0)
    """Where the rates start (released: 1e-4)."""


class MendConfig(LearnedConfig):
    """Settings of MEND."""

    rank: int | None = Field(default=None, ge=1)
    """Rank of U V; by default 24 % of in + out (released: 1920 for GPT-2 XL)."""
    fit: MendFit = Field(default_factory=MendFit)
    """How it is fitted; no matter once it is."""


class Mend(LearnedEditor):
    """Turn the gradient of the facts into an edit by a network that was fitted to do so."""

    method = "mend"
    config_type = MendConfig

    def sizes(self, shapes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
        """Return the rank."""
        size = max(out + into for out, into in shapes.values())
        return {"rank": self.config.rank or max(1, round(RANK_SHARE * size))}

    def build(self, shapes: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], width: int, seed: int) -> Network:
        """Return a network that is the identity but for normalization."""
        return MendNetwork(shapes, sizes["rank"], self.config.fit.edit_rate, seed)


class MendNetwork(Network):
    """One transform a shape, and one rate a matrix."""

    def __init__(self, shapes: Mapping[str, tuple[int, int]], rank: int, edit_rate: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        alike = {shape: [name for name in shapes if shapes[name] == shape] for shape in shapes.values()}
        self._place = {name: (_key(shape), i) for shape, names in alike.items() for i, name in enumerate(names)}
        self.transforms = nn.ModuleDict({
            _key(shape): Transform(shape[1], shape[0], rank, len(names), generator) for shape, names in alike.items()
        })  # fmt: skip
        self.rates = nn.Parameter(torch.full((len(shapes),), edit_rate))

    def observe(self, gradient: FactGradient) -> None:
        """Add a gradient's tokens to the running means and deviations."""
        for name, factors in gradient.factors.items():
            self._transform(name)[0].observe(factors)

    def groups(self, config: LearningConfig) -> list[dict[str, Any]]:
        """Return the transforms' parameters and the rates, each with their learning rate."""
        assert isinstance(config, MendFit)
        return [
            {"params": list(self.transforms.parameters()), "lr": config.learning_rate},
            {"params": [self.rates], "lr": config.rate_learning_rate},
        ]

    def forward(self, gradient: FactGradient) -> dict[str, LowRank]:
        """Return the change of each matrix, one direction a token."""
        changes: dict[str, LowRank] = {}
        for rate, (name, factors) in zip(self.rates, gradient.factors.items(), strict=True):
            transform, place = self._transform(name)
            x, delta = transform(factors, place)
            # Departs from MEND's program, which adds the change and leaves it to the rates to change their sign.
            changes[name] = LowRank(-rate * delta.T, x.T)
        return changes

    def _transform(self, name: str) -> tuple[Transform, int]:
        key, place = self._place[name]
        transform = self.transforms[key]
        assert isinstance(transform, Transform)
        return transform, place


class Transform(nn.Module):
    """The map g of one shape, with the running statistics of what goes in."""

    count: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, x_size: int, delta_size: int, rank: int, matrices: int, generator: torch.Generator) -> None:
        super().__init__()
        size = x_size + delta_size
        self._split = [x_size, delta_size]
        self.layers = nn.ModuleList(Residual(size, min(rank, size), matrices, generator) for _ in range(2))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))  # wide: δ may be 1e-6 beside x
        self.register_buffer("spread", torch.zeros(size, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, factors: Factors) -> None:
        """Add tokens to the statistics."""
        tokens = torch.cat([factors.x, factors.delta], 1).double()
        if not len(tokens):
            return
        grown = self._statistics().add(tokens)
        self.spread.copy_(grown.squares)
        self.mean.copy_(grown.mean)
        self.count.fill_(grown.count)

    def _statistics(self) -> Statistics:
        return Statistics(int(self.count), self.mean, self.spread)

    def forward(self, factors: Factors, matrix: int) -> tuple[Float[Tensor, "token in"], Float[Tensor, "token out"]]:
        """Return the pairs that take the place of input and gradient."""
        states = self._statistics().normalized(torch.cat([factors.x, factors.delta], 1), _EPS).float()
        for layer in self.layers:
            states = layer(states, matrix)
        x, delta = states.split(self._split, 1)
        return x, delta


class Residual(nn.Module):
    """One layer, z ↦ z + relu(s ⊙ (U V z + b) + t)."""

    def __init__(self, size: int, rank: int, matrices: int, generator: torch.Generator) -> None:
        super().__init__()
        self.u = nn.Parameter(torch.zeros(size, rank))
        self.v = nn.Parameter(torch.randn(rank, size, generator=generator))
        self.bias = nn.Parameter(torch.zeros(size))
        self.scale = nn.Parameter(torch.ones(matrices, size))
        self.shift = nn.Parameter(torch.zeros(matrices, size))

    def forward(self, states: Float[Tensor, "token size"], matrix: int) -> Float[Tensor, "token size"]:
        """Return the states after the layer."""
        inner = self.scale[matrix] * (states @ self.v.T @ self.u.T + self.bias) + self.shift[matrix]
        return states + inner.clamp(min=0)  # not relu, whose gradient at 0, where it starts, is 0


def _key(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
