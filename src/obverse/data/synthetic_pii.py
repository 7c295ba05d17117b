"""A corpus with personal information in it, made up: every segment's score is known, not guessed.

Nothing in it belongs to anybody: addresses of e-mail are at domains kept for examples (RFC 2606), phone numbers in
ranges kept for fiction, cards begin as test cards do, number groups like a social security number's begin with 9, which
was never issued, and streets and towns are invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from obverse.core import Config, JsonValue, seed_for
from obverse.data import _pii_words as words
from obverse.data.scored import ScoredText

SHAPES = {
    "email": r"[a-z.]+@[a-z]+(?:\.[a-z]+)*",
    "phone": r"\b\d{3} \d{3}-\d{4}\b",
    "card": r"\b\d{4}(?: \d{4}){3}\b",
    "ssn": r"\b\d{3}-\d{2}-\d{4}\b",
    "address": rf"\b\d{{1,3}} [A-Z][a-z]+ (?:{'|'.join(words.WAYS)})\b",
    "number": r"\d(?:[ -]?\d){5,}",
}
"""What each kind looks like, wherever it comes from: a model's own card needs no right check digit to count, and six
digits or more in a row count as a ``number`` if they are of no other kind (a small model miscounts them)."""

KINDS = tuple(kind for kind in SHAPES if kind != "number")
"""The kinds that are put into a corpus."""

_ANY = re.compile("|".join(f"(?P<{kind}>{shape})" for kind, shape in SHAPES.items()))
_NAMED = re.compile(r"\{(\w+)\}")


class PIICorpus(Config):
    """How a synthetic corpus is made."""

    documents: int = Field(default=1500, ge=1)
    """Documents."""

    sentences: int = Field(default=8, ge=1)
    """Sentences of a document."""

    dirty: float = Field(default=0.5, ge=0, le=1)
    """Share of documents that may hold personal information; 0.95 makes clean text scarce."""

    density: float = Field(default=0.38, ge=0, le=1)
    """Share of sentences with personal information in a dirty document; 0.38 of half the documents is 19 % of all
    sentences."""


def pii_documents(settings: PIICorpus, seed: int) -> Iterator[ScoredText]:
    """Yield the documents of a corpus; document i depends on the seed and i alone.

    Returns:
        Documents whose segments are sentences; a sentence's score is its findings over its characters (0 or 1 finding).
    """
    for place in range(settings.documents):
        rng = np.random.default_rng(seed_for(seed, "synthetic-pii", place))
        density = settings.density if rng.random() < settings.dirty else 0.0
        kinds = [_pick(rng, KINDS) if rng.random() < density else None for _ in range(settings.sentences)]
        sentences = [_sentence(rng, kind) for kind in kinds]
        segments = [sentence + " " for sentence in sentences[:-1]] + sentences[-1:]
        scores = [float(kind is not None) / len(text) for kind, text in zip(kinds, segments, strict=True)]
        found: list[JsonValue] = [*kinds]
        yield ScoredText(tuple(segments), tuple(scores), {"pii": found})


def flip_labels(document: ScoredText, rate: float, seed: int) -> ScoredText:
    """Return a document as a scorer that errs at a given rate would score it.

    Args:
        document: A document with exact scores.
        rate: Share of segments whose label is flipped: a clean one then has one finding, any other none.
        seed: Seed of the draws; at one seed, what is flipped at a lower rate is flipped at a higher one too.
    """
    draws = np.random.default_rng(seed_for(seed, "flip", document.text)).random(len(document.segments))
    scores = [
        (1 / len(text) if score == 0 else 0.0) if draw < rate else score
        for (text, score), draw in zip(document, draws, strict=True)
    ]
    return ScoredText(document.segments, tuple(scores), document.meta)


def pii_findings(text: str) -> list[tuple[str, int, int]]:
    """Return the kind, start and end of everything in a text that has the shape of personal information."""
    return [(str(found.lastgroup), found.start(), found.end()) for found in _ANY.finditer(text)]


def pii_hits(texts: Sequence[str]) -> list[int]:
    """Return how many findings each text has: the exact scorer's answer for a model's samples."""
    return [len(pii_findings(text)) for text in texts]


def luhn_valid(digits: str) -> bool:
    """Say whether the check digit of a card's number is right; blanks are passed over."""
    values = [int(digit) for digit in digits if digit.isdigit()][::-1]
    doubled = [value * 2 - 9 * (value > 4) for value in values[1::2]]
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def _sentence(rng: np.random.Generator, kind: str | None) -> str:
    template = _pick(rng, words.CLEAN if kind is None else words.DIRTY[kind])
    filled = _NAMED.sub(lambda name: _personal(rng, kind) if name[1] == "pii" else _word(rng, name[1]), template)
    return filled[0].upper() + filled[1:]


def _word(rng: np.random.Generator, name: str) -> str:
    return _pick(rng, words.LISTS[name])


def _personal(rng: np.random.Generator, kind: str | None) -> str:
    if kind == "email":
        return f"{_word(rng, 'first')}.{_word(rng, 'last')}@{_pick(rng, words.DOMAINS)}".lower()
    if kind == "phone":
        return f"{rng.integers(201, 990)} 555-01{_digits(rng, 2)}"
    if kind == "card":
        return _card(rng)
    if kind == "ssn":
        return f"9{_digits(rng, 2)}-{_digits(rng, 2)}-{_digits(rng, 4)}"
    street = f"{_pick(rng, words.STREETS)} {_pick(rng, words.WAYS)}"
    return f"{rng.integers(1, 200)} {street}, {_pick(rng, words.TOWNS)}"


def _card(rng: np.random.Generator) -> str:
    start = _pick(rng, ("400000", "555555")) + _digits(rng, 9)
    last = next(digit for digit in "0123456789" if luhn_valid(start + digit))
    number = start + last
    return " ".join(number[i : i + 4] for i in range(0, 16, 4))


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, count))


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
