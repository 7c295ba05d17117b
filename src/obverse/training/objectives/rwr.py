"""Reward-weighted regression: tokens of misaligned segments count less."""

from __future__ import annotations

from typing import Any, ClassVar

from obverse.core import Config
from obverse.training._rewards import RewardConfig, mean_over
from obverse.training.example import Batch
from obverse.training.objective import Loss, Objective, label_logprobs, shifted


class RWRConfig(RewardConfig):
    """Settings of reward-weighted regression."""

    published: bool = False
    """Multiply every weight by exp(0.5 / beta), as the published program does: it subtracts a value head that is never
    trained and always says -0.5."""


class RWR(Objective):
    """Weigh each token by its segment's reward.

        r = -score / reward_scale;   loss = -exp(r / beta) log p

    Source:
        Korbak et al. 2023, arXiv 2302.08582, equation 7; Peters and Schaal 2007.
    """

    # Departs from the published program: no value head is made, and none subtracted.
    config_type: ClassVar[type[Config]] = RWRConfig
    needs_scores: ClassVar[bool] = True
    config: RWRConfig

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of a batch."""
        logprobs, counted = label_logprobs(output.logits, batch)
        rewards = self.config.rewards(shifted(batch["token_scores"]).to(logprobs))
        weights = self.config.weights(rewards + 0.5 if self.config.published else rewards)
        total = -(logprobs * weights * shifted(batch["token_weights"])).sum()
        logs = {
            "reward": mean_over(counted, rewards),
            "weight": mean_over(counted, weights),
            "likelihood_loss": mean_over(counted, -logprobs),
        }
        return Loss(total, counted.sum().to(total), logs)
