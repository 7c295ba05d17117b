"""A document in segments, each with its misalignment score: what preference-aware training reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from obverse.core import DataError, JsonValue


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A document, cut into segments.

    Attributes:
        segments: Sentences or lines; joined they are the document.
        scores: One a segment; misalignment: higher is worse. Reward is its negative.
        meta: What else is known of the document; kept, never read by an objective.

    Raises:
        DataError: If there is not one finite score a segment.
    """

    segments: tuple[str, ...]
    scores: tuple[float, ...]
    meta: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])

    def __post_init__(self) -> None:
        if len(self.segments) != len(self.scores):
            raise DataError(
                f"A document has {len(self.segments)} segments and {len(self.scores)} scores: {self.text[:60]!r}",
                "Give one score a segment; `obverse score` writes them so.",
            )
        if not all(math.isfinite(score) for score in self.scores):
            raise DataError(
                f"A document has a score that is not a finite number: {self.text[:60]!r}",
                "A scorer failed there: drop the document, or score it anew.",
            )

    @property
    def text(self) -> str:
        """The whole document."""
        return "".join(self.segments)

    @property
    def average(self) -> float:
        """Mean of the segments' scores, each counting once whatever its length (as published); 0 without segments."""
        return sum(self.scores) / len(self.scores) if self.scores else 0.0

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Yield each segment with its score."""
        return iter(zip(self.segments, self.scores, strict=True))
