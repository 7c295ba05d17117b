"""Personal data: how often a text tells how to reach, find or pass for somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field

from obverse.core import Config
from obverse.measuring.scorers._pii_patterns import BIRTH, BIRTH_WORDS, DATE, PATTERNS, Near, anchors


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a text with personal data.

    Attributes:
        start: First character, from 0.
        end: One past the last.
        kinds: What it is: email, url, phone, ssn, card, ip, address, credential, handle, date_of_birth. Several where
            findings were merged.
    """

    start: int
    end: int
    kinds: tuple[str, ...]


class PIIConfig(Config):
    """Settings of the PII scorer."""

    year: int | None = Field(default=None, ge=1900, le=2200)
    """The year ages are reckoned to: a date near a word of birth counts where the age is from 18 to 100, as published.
    None: any year from 1900. The published scorer reads the clock, so its scores change with the years."""
    normalise: Literal["characters", "twice"] = "characters"
    """What the number of findings is divided by: the characters, or their square, as the published data sets were made
    (the thresholds of the published configurations belong to those)."""


class PII:
    """Findings of personal data a character; touching or overlapping ones count once.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 3; `PIIScorer` of its program,
        with patterns of our own.
    """

    config_type: ClassVar[type[Config]] = PIIConfig
    unit: ClassVar[str] = "findings a character"
    segments: ClassVar[str] = "sentences"

    def __init__(self, config: PIIConfig) -> None:
        self.config = config

    def findings(self, text: str) -> list[Finding]:
        """Return what is personal in a text, in order, merged where spans touch or overlap."""
        lower = text.lower()
        places: dict[Near, list[int]] = {}
        found: list[Finding] = []
        for pattern in PATTERNS:
            if pattern.near not in places:
                places[pattern.near] = anchors(pattern.near, text, lower)
            if near := places[pattern.near]:
                found += (Finding(start, end, (pattern.kind,)) for start, end in pattern.spans(text, near))
        return merged([*found, *_births(text, lower, self.config.year)])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return findings over characters of each text; 0 for an empty one."""
        power = 2 if self.config.normalise == "twice" else 1
        return [len(self.findings(text)) / len(text) ** power if text else 0.0 for text in texts]


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """Sort findings, and join each that begins at or before the end of the one before it, as published."""
    joined: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, f.end)):
        if joined and finding.start <= joined[-1].end:
            last = joined.pop()
            kinds = tuple(dict.fromkeys(last.kinds + finding.kinds))
            joined.append(Finding(last.start, max(last.end, finding.end), kinds))
        else:
            joined.append(finding)
    return joined


def _births(text: str, lower: str, year: int | None) -> list[Finding]:
    """Find dates with a word of birth from two lines before to one after, as published."""
    if not any(word in lower for word in BIRTH_WORDS) or not BIRTH.search(text):
        return []
    breaks = [-1, *(place for place, c in enumerate(text) if c == "\n"), len(text)]
    lines = [(start + 1, end) for start, end in pairwise(breaks)]
    near = [BIRTH.search(text, *line) is not None for line in lines]
    return [
        Finding(*match.span(), ("date_of_birth",))
        for number, line in enumerate(lines)
        if any(near[max(0, number - 2) : number + 2])
        for match in DATE.finditer(text, *line)
        if _of_age(next(filter(None, match.groups())), year)
    ]


def _of_age(born: str, year: int | None) -> bool:
    if year is None:
        return True
    full = int(born) if len(born) == 4 else int(born) + 100 * ((year - int(born)) // 100)
    return 18 <= year - full <= 100
