"""Self-BLEU: how much generated texts are like each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obverse.measuring.text import ngrams

EPSILON = 0.1
"""Matches that stand for none (method 1 of Chen and Cherry 2014, as NLTK has it)."""


def self_bleu(
    texts: Sequence[str], n: int = 5, *, characters: bool = False, references: int = 200, seed: int = 0
) -> float:
    """Return the mean BLEU of each text against the others: 0 if all differ, 1 if all are one.

    Args:
        texts: Generated texts; of fewer than two it is NaN.
        n: Length of the longest runs compared; all lengths count alike.
        characters: Whether runs are of characters, as in the original program, which passes texts unsplit; else of
            words between blanks.
        references: How many texts the others are drawn from, for speed; a text is never its own reference.
        seed: Seed of that draw.

    Source:
        Zhu et al. 2018, "Texygen", section 3.2; BLEU with smoothing method 1 as in Korbak et al. 2023's program. It
        takes the first 200 texts as references.
    """
    if len(texts) < 2:
        return math.nan
    found = [tuple(text) if characters else tuple(text.split()) for text in texts]
    drawn = range(len(found))
    if references < len(found):
        drawn = sorted(np.random.default_rng(seed).choice(len(found), references, replace=False).tolist())
    best = [_Best.of([(i, found[i]) for i in drawn], order) for order in range(1, n + 1)]
    lengths = [(i, len(found[i])) for i in drawn]
    return float(np.mean([_bleu(i, one, best, lengths) for i, one in enumerate(found)]))


@dataclass(frozen=True, slots=True)
class _Best:
    """For each run of one length: the text that has it most often, how often, and how often any other has it."""

    order: int
    found: dict[tuple[str, ...], tuple[int, int, int]]

    @classmethod
    def of(cls, texts: Sequence[tuple[int, tuple[str, ...]]], order: int) -> _Best:
        found: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for i, text in texts:
            for run, count in Counter(ngrams(text, order)).items():
                owner, most, second = found.get(run, (-1, 0, 0))
                found[run] = (i, count, most) if count > most else (owner, most, max(second, count))
        return cls(order, found)

    def precision(self, i: int, text: tuple[str, ...]) -> tuple[int, int]:
        """Return how many of a text's runs others have too, and how many there are."""
        counts = Counter(ngrams(text, self.order))
        hits = 0
        for run, count in counts.items():
            owner, most, second = self.found.get(run, (-1, 0, 0))
            hits += min(count, second if owner == i else most)
        return hits, max(1, counts.total())


def _bleu(i: int, text: tuple[str, ...], best: Sequence[_Best], lengths: Sequence[tuple[int, int]]) -> float:
    parts = [one.precision(i, text) for one in best]
    if parts[0][0] == 0:  # not a word in common; nor has an empty text any
        return 0.0
    nearest = min((abs(length - len(text)), length) for owner, length in lengths if owner != i)[1]
    brevity = min(0.0, 1 - nearest / len(text))
    logs = [math.log((hits or EPSILON) / total) for hits, total in parts]
    return math.exp(brevity + math.fsum(logs) / len(logs))
