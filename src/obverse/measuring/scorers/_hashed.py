"""A linear model on hashed n-grams: one and two words, and three to five characters within a word.

All n-grams of many texts are hashed at once: with P the running sum of c_i B^i (mod 2^64, c_i a mixed character), the
hash of characters i to j is (P_j - P_i) B^-i, which does not depend on where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 16
SIZE = 1 << BITS
"""Buckets of each of the two tables."""
CHARACTERS = (3, 4, 5)
AT_ONCE = 1 << 20
"""Characters hashed at a time."""

BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 1 << 64)
SPACE, END = 32, 10


@dataclass(frozen=True, slots=True)
class Grams:
    """Every n-gram of some texts, one entry each.

    Attributes:
        texts: Which text it is in.
        buckets: 0 to SIZE - 1 for words, SIZE to 2 SIZE - 1 for characters.
        scale: Of each text, 1 / sqrt(its n-grams of words), and the same of characters.
    """

    texts: NDArray[np.int64]
    buckets: NDArray[np.int64]
    scale: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """Return what each n-gram counts: long texts are not toxic for having many."""
        return self.scale[(self.buckets >= SIZE).astype(np.int64), self.texts]


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list of texts into parts of about `AT_ONCE` characters."""
    start = length = 0
    for place, text in enumerate(texts):
        length += len(text)
        if length >= AT_ONCE:
            yield texts[start : place + 1]
            start, length = place + 1, 0
    if start < len(texts):
        yield texts[start:]


def grams(texts: Sequence[str]) -> Grams:
    """Return the n-grams of texts, in lower case, with every run of blanks as one."""
    joined = "\n".join(f" {' '.join(text.lower().split())} " for text in texts) + "\n"
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    of = np.concatenate([[0], np.cumsum(codes == END)])
    spans = _Spans(codes)
    parts = [_words(codes, of, spans), _characters(codes, of, spans)]
    counts = np.stack([np.bincount(part[0], minlength=len(texts))[: len(texts)] for part in parts])
    return Grams(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1].astype(np.int64) + place * SIZE for place, part in enumerate(parts)]),
        (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32),
    )


class _Spans:
    """Hashes of stretches of characters, wherever they begin."""

    def __init__(self, codes: NDArray[np.uint32]) -> None:
        ones = np.ones(len(codes), np.uint64)
        powers = np.cumprod(np.concatenate([ones[:1], ones * np.uint64(BASE)])[:-1])
        self._back = np.cumprod(np.concatenate([ones[:1], ones * np.uint64(INVERSE)]))
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(codes.astype(np.uint64) + 1) * powers)])

    def hashed(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        return _mixed((self._sums[ends] - self._sums[starts]) * self._back[starts] + (ends - starts).astype(np.uint64))


def _words(codes: NDArray[np.uint32], of: NDArray[np.int64], spans: _Spans) -> tuple[NDArray[np.int64], NDArray]:
    """One and two words: runs of letters, digits, apostrophes, and of everything beyond ASCII."""
    table = np.array([chr(code).isalnum() or chr(code) == "'" for code in range(128)])
    inside = np.concatenate([[False], np.where(codes < 128, table[np.minimum(codes, 127)], True), [False]])
    starts, ends = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(inside[:-1] & ~inside[1:])
    one, texts = spans.hashed(starts, ends), of[starts]
    pairs = np.flatnonzero(texts[:-1] == texts[1:])
    two = _mixed(one[pairs] * np.uint64(BASE) + one[pairs + 1])
    return np.concatenate([texts, texts[pairs]]), _bucket(np.concatenate([one, two]))


def _characters(codes: NDArray[np.uint32], of: NDArray[np.int64], spans: _Spans) -> tuple[NDArray[np.int64], NDArray]:
    """Three to five characters of a word, the blanks around it included."""
    blanks = np.concatenate([[0], np.cumsum((codes == SPACE) | (codes == END))])
    found: list[NDArray[np.int64]] = []
    hashes: list[NDArray[np.uint64]] = []
    for n in CHARACTERS:
        starts = np.arange(len(codes) - n + 1)
        whole = (blanks[starts + n - 1] == blanks[starts + 1]) & (codes[starts] != END) & (codes[starts + n - 1] != END)
        starts = starts[whole]
        found.append(of[starts])
        hashes.append(_bucket(spans.hashed(starts, starts + n)))
    return np.concatenate(found), np.concatenate(hashes)


def _bucket(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return hashes >> np.uint64(64 - BITS)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of MurmurHash3 (public domain): every bit depends on every other."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))
