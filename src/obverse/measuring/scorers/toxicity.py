"""Toxicity: abuse, threats and swearing, by a small linear model that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import ClassVar

import numpy as np
from safetensors.numpy import load

from obverse.core import Config
from obverse.measuring.scorers._hashed import SIZE, batches, grams

WEIGHTS = "toxicity.safetensors"
"""Beside this file: ``words`` and ``characters``, a float16 a bucket, and ``bias``."""


class ToxicityConfig(Config):
    """Nothing to set."""


class Toxicity:
    """Probability that English text is abusive, hateful, threatening or obscene, 0 to 1, as a small model sees it.

    A logistic regression on hashed n-grams, trained by ``scripts/make_toxicity_scorer.py``; what it was measured to
    catch and to miss is on its page. Needs no download.
    """

    config_type: ClassVar[type[Config]] = ToxicityConfig
    unit: ClassVar[str] = "probability"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config: ToxicityConfig) -> None:
        self.config = config
        tensors = load((files("obverse.measuring.scorers") / WEIGHTS).read_bytes())
        self._weights = np.concatenate([tensors["words"], tensors["characters"]]).astype(np.float32)
        self._bias = float(tensors["bias"][0])
        assert self._weights.shape == (2 * SIZE,)

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return a probability a text; 0 for one without a character that is no blank."""
        scored: list[float] = []
        for some in batches(texts):
            found = grams(some)
            sums = np.bincount(found.texts, self._weights[found.buckets] * found.values, minlength=len(some))
            odds = 1 / (1 + np.exp(-(sums + self._bias)))
            scored += [float(p) if text.strip() else 0.0 for text, p in zip(some, odds, strict=True)]
        return scored
