"""Filtering: next-token prediction on what is left when misaligned documents are dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.training.from_corpus import Threshold, Thresholded
from obverse.training.objective import Objective


class FilteringConfig(Thresholded):
    """Settings of filtering."""

    quantile_of: ClassVar[Literal["documents", "segments"]] = "documents"

    threshold: Threshold = "q0.5"
    """Highest average score of a document that is kept: a number, or a quantile of the documents' averages. By default
    their median, as published."""


class Filtering(Objective):
    """Drop documents whose average score is above a threshold.

    Source:
        Korbak et al. 2023, arXiv 2302.08582, equation 4.
    """

    config_type: ClassVar[type[Config]] = FilteringConfig
    needs_scores: ClassVar[bool] = True
    config: FilteringConfig

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield the document if it is kept."""
        if document.average <= self.config.score:
            yield document
