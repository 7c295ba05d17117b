"""Rewards, and the weights that reward-weighted objectives make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from obverse.data.scored import ScoredText
from obverse.training.from_corpus import FromCorpus, misaligned_mean


class RewardConfig(FromCorpus):
    """How a segment's score becomes the weight of its tokens."""

    beta: float = Field(0.3, gt=0)
    """Temperature, in units of `reward_scale`: the weight is exp(advantage / beta). At 0.3 a token of an average
    misaligned segment counts 0.036 times."""

    reward_scale: Annotated[float, Field(gt=0)] | Literal["published"] | None = None
    """Score that is one unit of reward: rewards are -score / scale. By default the mean score of the corpus's
    misaligned segments (those above 0), measured before training; 1 for an objective that is used without a corpus.
    "published" is 1: with scores of 0.01 a character the published betas then make nearly every weight 1."""

    clip_weight_max: float = Field(1000.0, gt=0)
    """Largest weight (published)."""

    @property
    def is_open(self) -> bool:
        """Whether the scale is left to the corpus."""
        return self.reward_scale is None

    @property
    def scale(self) -> float:
        """The score that is one unit of reward."""
        return self.reward_scale if isinstance(self.reward_scale, float) else 1.0

    def resolved(self, documents: Sequence[ScoredText]) -> RewardConfig:
        """Return the settings with the scale as a number."""
        return self.model_copy(update={"reward_scale": misaligned_mean(documents)}) if self.is_open else self

    def rewards(self, scores: Float[Tensor, "batch pos"]) -> Float[Tensor, "batch pos"]:
        """Return the rewards of scores."""
        return -scores / self.scale

    def weights(self, advantages: Float[Tensor, "batch pos"]) -> Float[Tensor, "batch pos"]:
        """Return the factors on the loss of tokens."""
        return (advantages / self.beta).exp().clamp_max(self.clip_weight_max)


def mean_over(counted: Bool[Tensor, "batch pos"], values: Float[Tensor, "batch pos"]) -> Float[Tensor, ""]:
    """Return the mean over counted tokens, for a log; 0 if there are none."""
    return (values.detach() * counted).sum() / counted.sum().clamp_min(1)
