"""KE: a knowledge editor conditioned on the fact (De Cao et al. 2021, arXiv 2104.08164).

A bidirectional LSTM reads prompt and target and gives a condition h. For each matrix with gradient G a small network
turns h into rows a, c, columns b, d and a gate η (section 3.2):

    ΔW = sigmoid(η) (G ⊙ (softmax(a) bᵀ) + softmax(c) dᵀ)

As G = Σ_t δ_t x_tᵀ is of low rank, so is the change: (softmax(a) ⊙ δ_t)(b ⊙ x_t)ᵀ for each token, and one more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from obverse.editing._gradients import FactGradient, Factors
from obverse.editing._hypernetwork import LearningConfig, Network
from obverse.editing.edit import LowRank
from obverse.editing.learned import LearnedConfig, LearnedEditor

Module = TypeVar("Module", bound=nn.Module)

_NOWHERE = torch.device("meta")  # where making a module draws no numbers


class KeFit(LearningConfig):
    """How KE is fitted."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's learning rate (released: 1e-5, for hundreds of thousands of steps)."""


class KeConfig(LearnedConfig):
    """Settings of KE."""

    hidden: int = Field(default=512, ge=1)
    """Size of the LSTM's states, one direction, and of the conditioners' inner layer (released: 512)."""
    condition: int = Field(default=768, ge=1)
    """Size of the condition (released: 768)."""
    fit: KeFit = Field(default_factory=KeFit)
    """How it is fitted; no matter once it is."""


class Ke(LearnedEditor):
    """Gate the gradient of the facts by a network that reads the fact and was fitted to do so."""

    method = "ke"
    config_type = KeConfig

    def sizes(self, shapes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
        """Return the sizes of states and condition."""
        return {"hidden": self.config.hidden, "condition": self.config.condition}

    def build(self, shapes: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], width: int, seed: int) -> Network:
        """Return a new network."""
        return KeNetwork(shapes, width, sizes["hidden"], sizes["condition"], seed)


class KeNetwork(Network):
    """The reader of the fact, and one conditioner a matrix."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, int]], width: int, hidden: int, condition: int, seed: int
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.reader = _drawn(
            nn.LSTM(width, hidden, bidirectional=True, batch_first=True, device=_NOWHERE), hidden, generator
        )
        self.condition = _drawn(nn.Linear(2 * hidden, condition, device=_NOWHERE), 2 * hidden, generator)
        # A name with dots cannot name a module.
        self.conditioners = nn.ModuleDict({
            name.replace(".", "/"): Conditioner(shape, condition, hidden, generator) for name, shape in shapes.items()
        })  # fmt: skip

    def forward(self, gradient: FactGradient) -> dict[str, LowRank]:
        """Return the change of each matrix."""
        _, (last, _) = self.reader(gradient.embedded[None])
        condition = self.condition(last[:, 0].reshape(-1)).tanh()
        return {
            name: self.conditioners[name.replace(".", "/")].forward(condition, factors)
            for name, factors in gradient.factors.items()
        }


class Conditioner(nn.Module):
    """From the condition to the change of one matrix."""

    def __init__(self, shape: tuple[int, int], condition: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        out, into = shape
        self._split = [out, into, out, into, 1]
        self.inner = Normed(condition, hidden, generator)
        self.outer = Normed(hidden, sum(self._split), generator)

    def forward(self, condition: Float[Tensor, " condition"], factors: Factors) -> LowRank:
        """Return the gated gradient, one direction a token, and one more."""
        a, b, c, d, gate = self.outer(self.inner(condition).tanh()).split(self._split)
        left = torch.cat([a.softmax(0)[:, None] * factors.delta.T, c.softmax(0)[:, None]], 1)
        return LowRank(gate.sigmoid() * left, torch.cat([b[:, None] * factors.x.T, d[:, None]], 1))


class Normed(nn.Module):
    """A linear layer with weight normalization: each row is a direction and a length."""

    def __init__(self, into: int, out: int, generator: torch.Generator) -> None:
        super().__init__()
        self.direction = nn.Parameter(_uniform((out, into), into, generator))
        self.length = nn.Parameter(self.direction.detach().norm(dim=1))
        self.bias = nn.Parameter(_uniform((out,), into, generator))

    def forward(self, states: Float[Tensor, " in"]) -> Float[Tensor, " out"]:
        """Return the layer's output."""
        return self.length * nn.functional.linear(states, nn.functional.normalize(self.direction, dim=1)) + self.bias


@torch.no_grad()
def _drawn(module: Module, fan: int, generator: torch.Generator) -> Module:
    """Return a module made without weights with first weights as PyTorch draws them, but from a generator of ours."""
    module.to_empty(device=generator.device)
    for parameter in module.parameters():
        parameter.copy_(_uniform(parameter.shape, fan, generator))
    return module


def _uniform(shape: Sequence[int], fan: int, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(*shape, generator=generator) - 1) / math.sqrt(fan)
