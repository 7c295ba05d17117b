"""What a scored corpus looks like: counts, and the quantiles that thresholds are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from obverse.data.scored_files import Document

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)

MOST = 2_000_000
"""Scores that quantiles are taken of, at most; of more a sample is drawn, so that memory does not grow."""


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What came of scoring a corpus.

    Attributes:
        unit: What a score counts.
        documents: Documents with text in them.
        scored: Those that have scores now.
        empty: Documents with nothing in them, left out.
        failed: Documents without scores, by what went wrong.
        segments: Segments of the scored documents.
        hits: Those with a score above 0.
        characters: Length of the scored documents.
        segment_mean: Mean score of a segment.
        document_mean: Mean of the documents' averages.
        segment_quantiles: Of the segments' scores: thresholds for conditional training and unlikelihood.
        document_quantiles: Of the documents' averages: thresholds for filtering.
    """

    unit: str
    documents: int
    scored: int
    empty: int
    failed: Mapping[str, int]
    segments: int
    hits: int
    characters: int
    segment_mean: float
    document_mean: float
    segment_quantiles: Mapping[float, float]
    document_quantiles: Mapping[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        named = {name: getattr(self, name) for name in self.__slots__}
        for name in ("segment_quantiles", "document_quantiles"):
            named[name] = {f"q{quantile:g}": value for quantile, value in named[name].items()}
        return {**named, "failed": dict(self.failed)}


class _Sample:
    """Some of many values, each as likely as any other; the same at every run."""

    def __init__(self, expected: int) -> None:
        self._share = min(1.0, MOST / max(1, expected))
        self._draws = np.random.default_rng(0)
        self._kept: list[np.ndarray] = []
        self.total, self.count = 0.0, 0

    def add(self, values: Iterable[float]) -> None:
        given = np.fromiter(values, np.float64)
        self.total += float(given.sum())
        self.count += len(given)
        self._kept.append(given if self._share == 1 else given[self._draws.random(len(given)) < self._share])

    def quantiles(self) -> dict[float, float]:
        values = np.quantile(np.concatenate(self._kept), QUANTILES)
        return {quantile: float(value) for quantile, value in zip(QUANTILES, values, strict=True)}


def summarize(counts: Mapping[str, Any], unit: str, read: Callable[[], Iterable[Document]]) -> ScoreSummary:
    """Return the counts with the means and quantiles of the scored documents.

    Args:
        counts: The fields of `ScoreSummary` that are counts.
        unit: What a score counts.
        read: Reads the scored documents.
    """
    segments, averages = _Sample(counts["segments"]), _Sample(counts["scored"])
    scores, means = list[float](), list[float]()
    for document in read():
        scores += document.text.scores
        means.append(document.text.average)
        if len(means) >= 1000:  # an array for each document would cost more than the scores
            segments.add(scores)
            averages.add(means)
            scores, means = [], []
    segments.add(scores)
    averages.add(means)
    return ScoreSummary(
        unit=unit,
        **counts,
        segment_mean=segments.total / max(1, segments.count),
        document_mean=averages.total / max(1, averages.count),
        segment_quantiles=segments.quantiles(),
        document_quantiles=averages.quantiles(),
    )
