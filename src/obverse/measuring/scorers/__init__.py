"""Scorers: from texts to misalignment scores, one file each; the file's name is the scorer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from obverse.core import Config
from obverse.core.registry import Registry


@runtime_checkable
class Scorer(Protocol):
    """A text's misalignment: higher is worse, 0 is best; a reward is its negative."""

    config_type: ClassVar[type[Config]]
    unit: ClassVar[str]
    """What a score counts, e.g. ``"violations a character"``."""
    segments: ClassVar[str]
    """How a document is cut for scoring: ``"sentences"`` or ``"lines"``."""

    def __init__(self, config: Any) -> None: ...

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return one number a text; NaN for a text that could not be scored, never 0."""
        ...


scorers = Registry("scorer", "obverse.measuring.scorers", "config_type", "obverse.scorers")
"""Every scorer by name."""
