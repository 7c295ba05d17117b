"""Advantage-weighted regression: tokens count by how much better their segment is than was to be expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from obverse.core import Config
from obverse.training._rewards import RewardConfig, mean_over
from obverse.training._values import (
    ValueHead,
    ValueHeadConfig,
    attach_value_head,
    check_value_head,
    load_value_head,
    save_value_head,
    token_values,
)
from obverse.training.example import Batch
from obverse.training.objective import Loss, Objective, label_logprobs, shifted

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class AWRConfig(RewardConfig):
    """Settings of advantage-weighted regression."""

    alpha: float = Field(0.5, ge=0, le=1)
    """Share of the weighted likelihood in the loss; the rest is the value head's squared error (published: 0.5, for
    PEP8 0.05)."""

    value_head: ValueHeadConfig | None = ValueHeadConfig()
    """Settings of the head that learns what reward to expect; null for none, with alpha = 1."""

    use_value_head: bool = True
    """Whether the head's values are subtracted from the rewards; without, they are learnt for their own sake."""

    fixed_value: float | None = None
    """A number to subtract in place of the head's values; 0 is one."""

    clip_value: bool = False
    """Whether values are cut to [-1, 0]."""

    normalize_advantage: bool = False
    """Whether a batch's advantages are brought to mean 0 and standard deviation 1. The loss of a row then depends on
    what else is in its micro-batch."""

    @model_validator(mode="after")
    def _head_if_learnt(self) -> AWRConfig:
        if self.value_head is None and self.alpha < 1:
            raise ValueError(
                f"alpha = {self.alpha:g} gives the value loss a weight of {1 - self.alpha:g}, but value_head is null: "
                "set alpha = 1, or keep the head"
            )
        return self


class AWR(Objective):
    """Weigh each token by its segment's advantage over what the value head expected one token earlier.

        r = -score / reward_scale;   A = r - value
        loss = -alpha exp(A / beta) log p + (1 - alpha) (r - value)^2

    The weight has no gradient.

    Source:
        Korbak et al. 2023, arXiv 2302.08582, equation 8; Peng et al. 2019, arXiv 1910.00177.
    """

    config_type: ClassVar[type[Config]] = AWRConfig
    needs_scores: ClassVar[bool] = True
    config: AWRConfig

    def __init__(self, config: AWRConfig) -> None:
        super().__init__(config)
        self._heads: tuple[
            ValueHead, ...
        ] = ()  # a tuple, for the head is the model's submodule and not the objective's

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Give the model a value head."""
        if self.config.value_head is not None:
            self._heads = (attach_value_head(lm, self.config.value_head),)

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model on a batch; the output has ``token_values``."""
        for head in self._heads:
            check_value_head(head)
        return super().output(model, batch)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of a batch."""
        logprobs, counted = label_logprobs(output.logits, batch)
        rewards = self.config.rewards(shifted(batch["token_scores"]).to(logprobs))
        values = self._values(output, rewards)
        advantages = self._advantages(rewards, values, counted)
        weights = self.config.weights(advantages)
        weighted, errors = -logprobs * weights, (rewards - values).square() * counted
        alpha = self.config.alpha if self.config.value_head is not None else 1.0
        tokens = alpha * weighted + (1 - alpha) * errors
        logs = {
            "reward": mean_over(counted, rewards),
            "value": mean_over(counted, values),
            "advantage": mean_over(counted, advantages),
            "weight": mean_over(counted, weights),
            "likelihood_loss": mean_over(counted, -logprobs),
            "weighted_loss": mean_over(counted, weighted),
            "value_loss": mean_over(counted, errors),
        }
        return Loss((tokens * shifted(batch["token_weights"])).sum(), counted.sum().to(logprobs), logs)

    def _values(self, output: Any, rewards: Float[Tensor, "batch pos"]) -> Float[Tensor, "batch pos"]:
        if self.config.value_head is None:
            return torch.zeros_like(rewards)
        values = token_values(output)[:, :-1].to(rewards)
        return values.clamp(-1, 0) if self.config.clip_value else values

    def _advantages(
        self,
        rewards: Float[Tensor, "batch pos"],
        values: Float[Tensor, "batch pos"],
        counted: Bool[Tensor, "batch pos"],
    ) -> Float[Tensor, "batch pos"]:
        expected = values.detach() if self.config.use_value_head else torch.zeros_like(values)
        if self.config.fixed_value is not None:
            expected = torch.full_like(values, self.config.fixed_value)
        advantages = rewards - expected
        if self.config.normalize_advantage:
            kept = advantages[counted]
            advantages = (advantages - kept.mean()) / (kept.std() + 1e-10)
        return advantages

    def save(self, folder: Path) -> None:
        """Write the value head beside the model."""
        for head in self._heads:
            save_value_head(head, folder)

    def load(self, folder: Path) -> None:
        """Read the value head that `save` wrote."""
        for head in self._heads:
            load_value_head(head, folder)
