"""Unlikelihood: make the tokens of misaligned segments less probable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import Config
from obverse.training._rewards import mean_over
from obverse.training.example import Batch
from obverse.training.from_corpus import Threshold, Thresholded
from obverse.training.objective import Loss, Objective, label_logprobs, shifted

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

SMALLEST = 1e-20
"""Least 1 - p whose logarithm is taken; below it the term is constant, as published."""


class UnlikelihoodConfig(Thresholded):
    """Settings of unlikelihood training."""

    threshold: Threshold = 0.0
    """Highest score of a segment whose tokens are still to be likely: a number, or a quantile of the segments'
    scores."""

    alpha: float = Field(1.0, ge=0)
    """Weight of the unlikelihood term (published: 1, for PEP8 0.01)."""

    soft: bool = False
    """Take each token as aligned to the degree 1 - score, in place of a threshold. The published program does so
    whenever the threshold is 0."""

    end_token: Literal["likely", "as-segment"] = "likely"
    """Whether the token between documents is always to be likely, or follows the score of the segment after it, as
    published: then a misaligned first sentence teaches the model not to end the document before."""


class Unlikelihood(Objective):
    """Likelihood of aligned tokens, unlikelihood of the others.

        a = 1 if score <= threshold else 0;   loss = -a log p - alpha (1 - a) log(1 - p)

    Source:
        Korbak et al. 2023, arXiv 2302.08582, equation 6; Welleck et al. 2020, arXiv 1908.04319.
    """

    config_type: ClassVar[type[Config]] = UnlikelihoodConfig
    needs_scores: ClassVar[bool] = True
    config: UnlikelihoodConfig

    def __init__(self, config: UnlikelihoodConfig) -> None:
        super().__init__(config)
        self._end: int | None = None

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Note which token stands between documents."""
        end = lm.tokenizer.eos_token_id
        self._end = end if isinstance(end, int) else None

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of a batch."""
        logprobs, counted = label_logprobs(output.logits, batch)
        weights, scores = (shifted(batch[key]).to(logprobs) for key in ("token_weights", "token_scores"))
        aligned = 1 - scores if self.config.soft else (scores <= self.config.score).to(logprobs)
        if self._end is not None and self.config.end_token == "likely":
            aligned = aligned.masked_fill(batch["labels"][:, 1:] == self._end, 1.0)
        likely = -aligned * logprobs
        unlikely = -self.config.alpha * (1 - aligned) * log_complement(logprobs) * counted
        logs = {
            "score": mean_over(counted, scores),
            "aligned_share": mean_over(counted, aligned),
            "likelihood_loss": mean_over(counted, likely),
            "unlikelihood_loss": mean_over(counted, unlikely),
        }
        return Loss(((likely + unlikely) * weights).sum(), counted.sum().to(logprobs), logs)


def log_complement(logprobs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return log(1 - p) from log p, exact to rounding at both ends; where 1 - p < `SMALLEST`, constant."""
    # Near p = 1 from expm1, near p = 0 from log1p; each branch is kept where its gradient is finite.
    large = (-torch.expm1(logprobs)).clamp_min(SMALLEST).log()
    small = torch.log1p(-logprobs.clamp_max(-math.log(2)).exp())
    return torch.where(logprobs > -math.log(2), large, small)
