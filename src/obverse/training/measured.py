"""Settings of what is measured while a model learns: what it prefers to say, and how far it is from a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field

from obverse.core import Config
from obverse.measuring.samples import BATCH
from obverse.measuring.scenarios import Scenario

Settings = TypeVar("Settings", bound=Config)


class EvaluationSettings(Config):
    """What the model prefers to say, measured as it learns."""

    scorer: str
    """Scorer of the samples: a name, ``package.module:Class`` or ``file.py:Class``."""

    scorer_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the scorer."""

    scenarios: tuple[Scenario, ...] = (Scenario(),)
    """How samples are drawn; see ``obverse prefs``. Under an objective with control tokens they follow the one of
    aligned text, where ``prefix`` says nothing else."""

    every: int = Field(1000, ge=1)
    """Steps between two measurements; the end is always measured."""

    at: tuple[int, ...] = ()
    """Further steps; 0 is before the first."""

    batch: int = Field(BATCH, ge=1)
    """Texts written at once; they do not depend on it. More is faster on an accelerator."""

    def after(self, prefix: str, control_tokens: tuple[str, ...]) -> EvaluationSettings:
        """Return the same with samples written after a control token, for scenarios that say nothing of it."""
        own = {"prefix": prefix, "control_tokens": control_tokens}
        scenarios = tuple(_completed(scenario, own) for scenario in self.scenarios)
        return self.model_copy(update={"scenarios": scenarios})


class KLSettings(Config):
    """Kullback-Leibler divergence of the model from a reference, on texts of the reference, measured as it learns."""

    reference: str | None = None
    """A model's name; null measures nothing. (The published references are no longer to be had.)"""

    samples: int = Field(512, ge=1)
    """Texts drawn from the reference (published: 4096)."""

    tokens: int = Field(64, ge=1)
    """Their length at most (published: 64)."""

    prefix: str = ""
    """What the model is given before each text, uncharged: a control token; that of aligned text if the objective has
    one and nothing else is given."""

    every_line: bool = False
    """Whether the prefix stands after each line break too (published for PEP8)."""

    banned: tuple[str, ...] | None = None
    """Tokens that are no text, left out of the model's distribution; by default the control tokens that it has."""

    every: int = Field(1000, ge=1)
    """Steps between two measurements; the end is always measured."""

    at: tuple[int, ...] = ()
    """Further steps; 0 is before the first."""

    batch: int = Field(BATCH, ge=1)
    """Texts written at once; they do not depend on it. More is faster on an accelerator."""

    def after(self, prefix: str, control_tokens: tuple[str, ...]) -> KLSettings:
        """Return the same with texts read after a control token, unless another is given."""
        return _completed(self, {"prefix": prefix, "banned": control_tokens})


def _completed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return settings with values for what was not given."""
    missing = {name: value for name, value in values.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=missing)
