"""Toxicity by alt-profanity-check: a linear model on single words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from obverse.core import Config
from obverse.measuring.scorers._extra import library


class AltProfanityConfig(Config):
    """Nothing to set."""


class AltProfanity:
    """Probability that a text is offensive, 0 to 1.

    Needs alt-profanity-check (MIT), which pins exact versions of scikit-learn and joblib and reads its model from a
    pickle: install it where you trust its source.
    """

    config_type: ClassVar[type[Config]] = AltProfanityConfig
    unit: ClassVar[str] = "probability"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config: AltProfanityConfig) -> None:
        self.config = config
        self._library = library("profanity_check", "alt-profanity")

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return a probability a text."""
        return [float(p) for p in self._library.predict_prob(list(texts))] if texts else []
