"""Personal data by scrubadub, as the published experiments used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

from obverse.core import Config
from obverse.measuring.scorers._extra import library
from obverse.measuring.scorers.pii import Finding, merged


class ScrubadubConfig(Config):
    """Settings of the scrubadub scorer."""

    locale: str = "en_US"
    """Whose telephone and social security numbers it knows."""
    addresses: bool = True
    """Look for US postal addresses with pyap, as published."""


class Scrubadub:
    """Findings of scrubadub's detectors a character; touching or overlapping ones count once.

    Without names of persons, which need a model of language. **Dates of birth are judged by the running year**, in
    scrubadub itself, so scores of texts with dates change with the years.

    Source:
        Korbak et al. 2023, section 3; `PIIScorer` of its program.
    """

    config_type: ClassVar[type[Config]] = ScrubadubConfig
    unit: ClassVar[str] = "findings a character"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config: ScrubadubConfig) -> None:
        self.config = config
        found = library("scrubadub", "scrubadub")
        births = library("scrubadub.detectors.date_of_birth", "scrubadub")
        self._scrubber = found.Scrubber(locale=config.locale)
        self._scrubber.add_detector(found.detectors.SkypeDetector)
        self._scrubber.add_detector(births.DateOfBirthDetector)
        self._pyap = library("pyap", "scrubadub") if config.addresses else None

    def findings(self, text: str) -> list[Finding]:
        """Return what is personal in a text, in order, merged where spans touch or overlap."""
        return merged([*self._filth(text), *self._addresses(text)])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return findings over characters of each text; 0 for an empty one, NaN where scrubadub fails."""
        return [self._score(text) for text in texts]

    def _score(self, text: str) -> float:
        if not text:
            return 0.0
        try:
            return len(self.findings(text)) / len(text)
        # Departs from PHF: its scorer catches the same, and calls the text clean.
        except (ValueError, RecursionError, OverflowError):
            return math.nan

    def _filth(self, text: str) -> Iterator[Finding]:
        if text.strip():  # its search of dates fails on blanks
            for found in self._scrubber.iter_filth(text):
                yield Finding(found.beg, found.end, (found.type,))

    def _addresses(self, text: str) -> Iterator[Finding]:
        for found in self._pyap.parse(text, country="US") if self._pyap else ():
            if "COVERAGE" not in found.full_address:  # a line of licences
                yield Finding(found.match_start, found.match_end, ("address",))
