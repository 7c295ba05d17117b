"""Next-token prediction (maximum likelihood): the baseline."""

from __future__ import annotations

from typing import ClassVar

from obverse.core import Config
from obverse.training.objective import Objective


class MLEConfig(Config):
    """Nothing to set."""


class MLE(Objective):
    """Next-token prediction: mean over tokens of -log p(token | those before it)."""

    config_type: ClassVar[type[Config]] = MLEConfig
