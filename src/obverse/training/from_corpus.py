"""Settings that are measured on the scored corpus: thresholds given as quantiles, the scale of rewards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, ClassVar, Literal, TypeVar, cast

import numpy as np
from pydantic import AfterValidator

from obverse.core import Config, ConfigError, DataError
from obverse.data.scored import ScoredText

ConfigType = TypeVar("ConfigType", bound=Config)


def _quantile(threshold: str) -> float | None:
    """Return the 0.5 of "q0.5"; None for anything else."""
    try:
        quantile = float(threshold.removeprefix("q"))
    except ValueError:
        return None
    return quantile if threshold.startswith("q") and 0 <= quantile <= 1 else None


def _checked(threshold: float | str) -> float | str:
    with suppress(ValueError):
        threshold = float(threshold)  # YAML takes 1e-4 for a text
    given_well = _quantile(threshold) is not None if isinstance(threshold, str) else not math.isnan(threshold)
    if not given_well:
        raise ValueError('a threshold is a number, or a quantile of the corpus from "q0" to "q1", e.g. "q0.5"')
    return threshold


Threshold = Annotated[float | str, AfterValidator(_checked)]
"""A score, or a quantile of the scored corpus such as ``"q0.5"``. What scores no more than it is aligned."""


def resolve_threshold(threshold: float | str, scores: Sequence[float]) -> float:
    """Return the score that a threshold stands for.

    Args:
        threshold: A score, which is returned as it is, or a quantile such as ``"q0.5"``.
        scores: A sample of what the quantile is of: document averages, or scores of segments.

    Raises:
        ConfigError: If it is neither.
        DataError: If a quantile of no scores is asked for.
    """
    if not isinstance(threshold, str):
        return threshold
    quantile = _quantile(threshold)
    if quantile is None:
        raise ConfigError(f"{threshold!r} is no threshold.", 'Give a number, or a quantile such as "q0.5".')
    if not len(scores):
        raise DataError(f"The threshold {threshold!r} is a quantile, but there are no scores.", "Score the corpus.")
    return float(np.quantile(np.asarray(scores, float), quantile))


class FromCorpus(Config):
    """Settings of an objective of which some may be left to the corpus."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be measured."""
        return False

    def resolved(self, documents: Sequence[ScoredText]) -> FromCorpus:
        """Return the settings with numbers measured on a sample of the corpus in all places left open."""
        return self


class Thresholded(FromCorpus):
    """Settings with a threshold.

    Attributes:
        quantile_of: Of what a quantile is taken: document averages, or the scores of all segments.
    """

    quantile_of: ClassVar[Literal["documents", "segments"]] = "segments"

    threshold: Threshold
    """Highest score that counts as aligned: a number, or a quantile of the corpus such as "q0.5"."""

    @property
    def is_open(self) -> bool:
        """Whether the threshold is a quantile."""
        return isinstance(self.threshold, str)

    @property
    def score(self) -> float:
        """The threshold as a score.

        Raises:
            ConfigError: If it is a quantile that was not resolved.
        """
        if isinstance(self.threshold, str):
            raise ConfigError(
                f"The threshold {self.threshold!r} is a quantile of a corpus that was not measured.",
                "Give a number, or call obverse.training.from_corpus.resolve(config, documents) first.",
            )
        return self.threshold

    def resolved(self, documents: Sequence[ScoredText]) -> Thresholded:
        """Return the settings with the threshold as a score."""
        of_documents = self.quantile_of == "documents"
        scores = [d.average for d in documents] if of_documents else segment_scores(documents)
        return self.model_copy(update={"threshold": resolve_threshold(self.threshold, scores)})


def segment_scores(documents: Iterable[ScoredText]) -> list[float]:
    """Return the scores of all segments."""
    return [score for document in documents for score in document.scores]


def misaligned_mean(documents: Iterable[ScoredText]) -> float:
    """Return the mean score of the segments with a score above 0: the unit of rewards; 1 if there are none."""
    above = [score for score in segment_scores(documents) if score > 0]
    return float(np.mean(above)) if above else 1.0


def is_open(config: Config) -> bool:
    """Return whether some setting of an objective is still to be measured on the corpus."""
    return isinstance(config, FromCorpus) and config.is_open


def resolve(config: ConfigType, documents: Sequence[ScoredText]) -> ConfigType:
    """Return an objective's settings with numbers in all places that were left to the corpus.

    Args:
        config: Settings of any objective.
        documents: The scored corpus, or a sample of it.

    Raises:
        DataError: If there is nothing to measure on.
    """
    if not isinstance(config, FromCorpus) or not config.is_open:
        return config
    return cast("ConfigType", config.resolved(documents))
