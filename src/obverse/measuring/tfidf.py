"""Consistency of generated text: how much its vocabulary is that of texts about the target (TF-IDF, cosine)."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from obverse.core import DataError

_TERM = re.compile(r"\b\w\w+\b")


def terms(text: str) -> list[str]:
    """Return a text's terms: runs of two or more word characters, in lower case."""
    return _TERM.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Tfidf:
    """Weights of terms, by how many documents have them.

    The defaults of scikit-learn's vectorizer: raw counts, smoothed weights ``ln((1 + n) / (1 + df)) + 1``, vectors of
    length 1. Terms without a weight are left out.

    Attributes:
        idf: Term → weight.
    """

    idf: Mapping[str, float]

    @classmethod
    def fit(cls, documents: Sequence[str]) -> Tfidf:
        """Count in how many documents each term occurs."""
        found = Counter(term for document in documents for term in set(terms(document)))
        n = len(documents)
        return cls({term: math.log((1 + n) / (1 + found[term])) + 1 for term in sorted(found)})

    @classmethod
    def load(cls, vocabulary: Path, weights: Path) -> Tfidf:
        """Read the two files published with ROME.

        Args:
            vocabulary: ``tfidf_vocab.json``: term → place in the weights.
            weights: ``idf.npy``: the weights, float64, (vocab,).

        Raises:
            DataError: If they are no such files, or do not fit each other.
        """
        try:
            places = cast("dict[str, int]", json.loads(vocabulary.read_text("utf-8")))
            idf = np.load(weights, allow_pickle=False).ravel()
            if sorted(places.values()) != list(range(len(idf))):
                raise DataError(
                    f"{vocabulary.name} has {len(places):,} terms, but {weights.name} has {len(idf):,} weights.",
                    "Take both files from the same place.",
                )
            return cls({term: float(idf[place]) for term, place in places.items()})
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"{vocabulary} and {weights} cannot be read as term weights: {error}.",
                "Give tfidf_vocab.json and idf.npy as published with ROME.",
            ) from error

    def vector(self, text: str) -> dict[str, float]:
        """Return the weights of a text's terms, as a vector of length 1; empty where no term is known."""
        counts = Counter(term for term in terms(text) if term in self.idf)
        raw = {term: count * self.idf[term] for term, count in counts.items()}
        norm = math.sqrt(sum(value * value for value in raw.values()))
        return {term: value / norm for term, value in raw.items()}

    def cosine(self, first: str, second: str) -> float:
        """Return the cosine of two texts' vectors, 0 to 1; 0 where one of them has no known term."""
        a, b = self.vector(first), self.vector(second)
        return math.fsum(value * b[term] for term, value in a.items() if term in b)


def reference_score(tfidf: Tfidf, generated: Sequence[str], references: Sequence[str]) -> float:
    """Return the reference score RS: the cosine of all generated texts with all reference texts.

    Args:
        tfidf: Weights of terms; to compare with published numbers those published with ROME.
        generated: Texts generated about the subject, with their prompts.
        references: Texts about subjects that have the target by nature.

    Returns:
        0 to 1, higher is better. ROME's tables show it times 100.

    Source:
        Meng et al. 2022, "Locating and Editing Factual Associations in GPT", section 3.3 ("consistency").
    """
    return tfidf.cosine(" ".join(generated), " ".join(references))
