"""LoRA: train a low-rank adapter on the facts (Hu et al. 2021, arXiv 2106.09685, eq. 3).

    W' = W + (alpha / rank) B A,      B (out, rank) zero at the start, A (rank, in) random

The edit is the adapter itself: the same files that PEFT reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from obverse.core import seed_for
from obverse.editing._finetune import Finetuner, attention_inputs, weight_and_bias
from obverse.editing._fit import FitConfig, Trained
from obverse.editing._fit_rows import Loss
from obverse.editing.edit import Delta, LowRank

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class LoraConfig(FitConfig):
    """Settings of LoRA as an editor: rank, alpha and steps of Zhang et al. 2024 (arXiv 2401.01286)."""

    layers: tuple[int, ...] | None = None
    """Layers that get an adapter, from 0; by default all."""
    modules: Literal["attention", "mlp"] = "attention"
    """What gets an adapter: attention's input projections (queries, keys, values), or the MLP's output projection."""
    rank: int = Field(default=8, ge=1)
    """Rank of each adapter."""
    alpha: float = 32.0
    """Scale of the change, divided by the rank."""
    seed: int = 0
    """Seed of A's start."""
    steps: int = 70
    """Passes over all facts at most, each followed by a step."""
    learning_rate: float = 5e-4
    """Adam's learning rate. The published 5e-3 breaks a small model: see docs/methods/lora.md."""
    loss: Loss = "sequence"
    """`sequence`: the causal loss of the target, the prompt masked; `bag`: all its tokens at the prompt's last
    position."""


class Lora(Finetuner[LoraConfig]):
    """Train adapters of low rank in all layers, on targets as sequences."""

    config_type = LoraConfig
    method = "lora"

    def default_layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return every layer."""
        return tuple(range(lm.architecture.n_layers))

    def modules_of(self, lm: LanguageModel, layer: int) -> tuple[str, ...]:
        """Return the names of the modules of one layer that get an adapter."""
        if self.config.modules == "attention":
            return attention_inputs(lm, layer)
        return super().modules_of(lm, layer)

    def start(self, lm: LanguageModel) -> Trained:
        """Return the factors A and B of each module."""
        factors = {name: self._factors(lm, name) for name in self.modules(lm)}
        scale = self.config.alpha / self.config.rank

        def deltas() -> dict[str, Delta]:
            return {name: LowRank(scale * left, right) for name, (left, right) in factors.items()}

        tensors = [tensor for pair in factors.values() for tensor in pair]
        return Trained(tensors, deltas, [None] * len(tensors))

    def _factors(self, lm: LanguageModel, module: str) -> tuple[Tensor, Tensor]:
        weight, _ = weight_and_bias(lm, module)
        rows, columns = weight.shape
        generator = torch.Generator().manual_seed(seed_for(self.config.seed, "lora", module))
        # As PEFT starts A: uniform in ±1/√in.
        right = (2 * torch.rand(columns, self.config.rank, generator=generator) - 1) / columns**0.5
        left = torch.zeros(rows, self.config.rank, device=weight.device)
        return left.requires_grad_(), right.to(weight.device).requires_grad_()
