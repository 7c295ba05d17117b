"""Personal data by the patterns of Microsoft Presidio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from obverse.core import Config
from obverse.measuring.scorers._extra import library
from obverse.measuring.scorers.pii import Finding, merged


class PresidioConfig(Config):
    """Settings of the Presidio scorer."""

    least: float = Field(default=0.4, ge=0, le=1)
    """Confidence from which a finding counts. Its weak patterns, such as any nine digits, have 0.01 to 0.3."""
    leave_out: tuple[str, ...] = ("DATE_TIME",)
    """Kinds that do not count, by Presidio's names. Any date is none of a person."""


class Presidio:
    """Findings of Presidio's pattern recognizers a character; touching or overlapping ones count once.

    Its recognizers by language model, which find names, are not used: they need a download.
    """

    config_type: ClassVar[type[Config]] = PresidioConfig
    unit: ClassVar[str] = "findings a character"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config: PresidioConfig) -> None:
        self.config = config
        found = library("presidio_analyzer", "presidio")
        registry = found.RecognizerRegistry()
        registry.load_predefined_recognizers(languages=["en"])
        own = library("presidio_analyzer.predefined_recognizers", "presidio")
        kinds = (found.PatternRecognizer, own.PhoneRecognizer)
        self._recognizers = [one for one in registry.recognizers if isinstance(one, kinds)]

    def findings(self, text: str) -> list[Finding]:
        """Return what is personal in a text, in order, merged where spans touch or overlap."""
        return merged(
            [
                Finding(hit.start, hit.end, (hit.entity_type.lower(),))
                for one in self._recognizers
                for hit in one.analyze(text, one.supported_entities, None)
                if hit.score >= self.config.least and hit.entity_type not in self.config.leave_out
            ]
        )

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return findings over characters of each text; 0 for an empty one."""
        return [len(self.findings(text)) / len(text) if text else 0.0 for text in texts]
