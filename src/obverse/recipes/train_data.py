"""The corpus of a run: found, scored if it has no scores, measured where settings were left to it, packed to rows."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from obverse.core import Config, DataError, Progress, cache_dir, package_version
from obverse.data.scored import ScoredText
from obverse.data.scored_files import DocumentSource, document_source
from obverse.model.fingerprint import remembered_file_hash
from obverse.recipes.score import ScoreRequest, run_score
from obverse.training.from_corpus import is_open, resolve

if TYPE_CHECKING:
    from obverse.training.settings import DataSettings

_log = logging.getLogger(__name__)

SAMPLE = 50_000
"""Documents that quantiles and scales are measured on."""


def find_sources(settings: DataSettings, needs_scores: bool) -> list[DocumentSource]:
    """Return where the documents of a run come from, those without scores scored if a scorer is set.

    Raises:
        UnknownName: If a source or the scorer does not exist.
        DataError: If a folder holds no documents.
    """
    sources = [document_source(name) for name in settings.sources]
    if settings.scorer is None or not needs_scores:
        return sources
    return [source if _scored(source) else _score(source, settings.scorer, settings) for source in sources]


def _scored(source: DocumentSource) -> bool:
    """Say whether a source has scores, by its first document that is not empty."""
    return next((document.scored for document in source.read() if not document.empty), False)


def _score(source: DocumentSource, scorer: str, settings: DataSettings) -> DocumentSource:
    """Score a source, into the cache, where the next run of the same corpus and scorer finds it."""
    identity = [source.identity, *map(remembered_file_hash, source.files)]
    asked = [package_version(), identity, scorer, settings.scorer_settings, settings.split, settings.limit]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
    request = ScoreRequest(
        source.name,
        scorer,
        cache_dir() / "scored" / key,
        settings.scorer_settings,
        settings.split,
        limit=settings.limit,
    )
    failed = sum(run_score(request).summary.failed.values())
    if failed:
        _log.warning("%d documents of %s could not be scored, and are left out.", failed, source.name)
    return document_source(str(request.out))


def texts(sources: Sequence[DocumentSource], limit: int | None) -> Iterator[str]:
    """Yield the documents' texts."""
    read = (document.text.text for source in sources for document in source.read() if not document.empty)
    return islice(read, limit)


def settled(config: Config, sources: Sequence[DocumentSource], limit: int | None, seed: int) -> Config:
    """Return an objective's settings with numbers for what is left to the corpus: quantiles, the scale of rewards.

    They are measured on `SAMPLE` documents drawn from the whole corpus, or on all if there are fewer.

    Raises:
        DataError: If documents have no scores.
    """
    if not is_open(config):
        return config
    sample: list[ScoredText] = []
    draws = np.random.default_rng((seed, len(sources)))
    read = (document for source in sources for document in source.read())
    with Progress("Reading the corpus's scores") as progress:
        for number, document in enumerate(d for d in islice(read, limit) if not d.empty):
            if not document.scored:
                raise DataError(
                    f"{document.place}: the document has no scores, on which the objective's settings are to be "
                    "measured.",
                    "Score the corpus first (obverse score), or set data.scorer.",
                )
            place = number if number < SAMPLE else int(draws.integers(number + 1))
            if place < SAMPLE:
                sample[place : place + 1] = [document.text]
            progress.advance()
    return resolve(config, sample)
