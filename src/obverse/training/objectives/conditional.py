"""Conditional training: say before each segment whether it is aligned, and let the model learn both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.training.from_corpus import Threshold, Thresholded
from obverse.training.objective import Objective
from obverse.training.vocabulary import grow_vocabulary

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class ConditionalConfig(Thresholded):
    """Settings of conditional training."""

    threshold: Threshold = 0.0
    """Highest score of a segment that is called aligned: a number, or a quantile of the segments' scores. Published: 0
    for PII and PEP8, 5.6e-4 for toxicity."""

    drop_fraction: float = Field(0.01, ge=0, le=1)
    """Share of segments that get no control token, so that the model also works without (published: 0.01 for toxicity
    and PII, 0.1 for PEP8)."""

    aligned_prefix: str = Field("<|aligned|>", min_length=1)
    """Control token before an aligned segment (the paper prints <|good|>)."""

    misaligned_prefix: str = Field("<|misaligned|>", min_length=1)
    """Control token before a misaligned segment (the paper prints <|bad|>)."""

    @model_validator(mode="after")
    def _two_tokens(self) -> ConditionalConfig:
        if self.aligned_prefix == self.misaligned_prefix:
            raise ValueError(f"aligned_prefix and misaligned_prefix are both {self.aligned_prefix!r}")
        return self


class Conditional(Objective):
    """Put a control token before each segment; the loss is that of next-token prediction, over control tokens too.

    Source:
        Korbak et al. 2023, arXiv 2302.08582, equation 5.
    """

    config_type: ClassVar[type[Config]] = ConditionalConfig
    needs_scores: ClassVar[bool] = True
    config: ConditionalConfig

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Make the control tokens single tokens of the model, those it lacks as new ones."""
        grow_vocabulary(lm, [self.config.aligned_prefix, self.config.misaligned_prefix], generator)

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield the document with control tokens; takes one uniform draw a segment, in order."""
        marked = [
            self.prefix(score) + segment if draw > self.config.drop_fraction else segment
            for (segment, score), draw in zip(document, draws.random(len(document.segments)), strict=True)
        ]
        yield ScoredText(tuple(marked), document.scores, document.meta)

    def prefix(self, score: float) -> str:
        """Return the control token of a score."""
        return self.config.aligned_prefix if score <= self.config.score else self.config.misaligned_prefix
