"""Published files of facts: fetched once from their authors' site, checked, and kept.

===================== ========================================== ============== ==========
name                  what                                                bytes checked by
===================== ========================================== ============== ==========
``counterfact``       21,919 counterfactual edits, their probes      45,108,470 SHA-256
``zsre``              question answering records                 some 8,100,000 form
``multi-counterfact`` CounterFact without conflicting facts             unknown form
``snippets``          reference texts, for RS and essence           926,285,719 SHA-256
``tfidf-terms``       terms of the reference texts                   31,639,072 SHA-256
``tfidf-weights``     their weights                                  11,042,168 SHA-256
===================== ========================================== ============== ==========

Sizes and digests are those of the pointer files in ``scalable-model-editing/rebuilding-rome`` (folder ``data``); where
there is none, whatever can be read as facts is taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from obverse.core import Case, DataError, UnknownName, cache_dir, file_hash, write_whole
from obverse.data._download import download
from obverse.data.facts_file import read_cases
from obverse.data.snippets import Snippets, read_snippets

SITE = "https://rome.baulab.info/data/dsets/"


@dataclass(frozen=True, slots=True)
class Official:
    """A published file.

    Attributes:
        file: Its name at the site.
        limit: Bytes to take at most; its size, where that is known.
        sha256: Digest of its bytes, if known; then ``limit`` is the size.
        facts: Whether it is a set of facts.
    """

    file: str
    limit: int
    sha256: str | None = None
    facts: bool = False

    @property
    def url(self) -> str:
        """Where it is."""
        return SITE + self.file

    def is_at(self, path: Path) -> bool:
        """Say whether a file is this one; where no digest is known, whether it is a whole JSON list at least."""
        if self.sha256 is not None:
            return path.stat().st_size == self.limit and file_hash(path) == self.sha256
        try:
            return isinstance(json.loads(path.read_bytes()), list)
        except ValueError:
            return False


OFFICIAL: dict[str, Official] = {
    "counterfact": Official(
        "counterfact.json", 45_108_470, "d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f", facts=True
    ),
    "zsre": Official("zsre_mend_eval.json", 80_000_000, facts=True),
    "multi-counterfact": Official("multi_counterfact.json", 400_000_000, facts=True),
    "snippets": Official(
        "attribute_snippets.json", 926_285_719, "10b5c1cd105e54d5983c72de1b45bfc88bc7af786f7b99def2557886ff23385b"
    ),
    "tfidf-terms": Official(
        "tfidf_vocab.json", 31_639_072, "8a78c4f20d8d85dadfd14e283d71af255482ff18aa0eb8a81716024c05ff888b"
    ),
    "tfidf-weights": Official(
        "idf.npy", 11_042_168, "c073d642589d4ac6432f467230329b36364a01e72de63a77a3624b745b923dda"
    ),
}
"""Name → file."""

FACT_SETS = tuple(name for name, official in OFFICIAL.items() if official.facts)
"""Names of the sets of facts among them."""


def official_file(name: str, path: Path | None = None) -> Path:
    """Return where a published file is, after fetching it if it is not in the cache.

    Args:
        name: See `OFFICIAL`.
        path: A file to take instead, as it is.

    Raises:
        UnknownName: If there is no such name.
        DataError: If what the site gives is another file than the published one; it is not kept.
        ObverseError: If it cannot be fetched or kept.
    """
    if name not in OFFICIAL:
        raise UnknownName.among("published file", name, OFFICIAL)
    if path is not None:
        return path
    official = OFFICIAL[name]
    kept = cache_dir() / "datasets" / official.file
    if not (kept.is_file() and (official.sha256 is None or kept.stat().st_size == official.limit)):
        write_whole(kept, lambda part: _fetch(official, part))
    return kept


def _fetch(official: Official, part: Path) -> None:
    hint = f"Download {official.file} where there is a network and give its path (--path FILE)."
    with part.open("wb") as file:
        size = official.limit if official.sha256 else None
        download(official.url, file, official.limit, official.file, hint, size)
    if not official.is_at(part):
        raise DataError(
            f"What {official.url} gives is not {official.file} as it was published "
            f"({part.stat().st_size:,} bytes, SHA-256 {file_hash(part)[:12]}...).",
            "If you trust it, download it and give its path (--path FILE).",
        )


def official_cases(name: str, path: Path | None = None, snippets: Path | None = None) -> list[Case]:
    """Return a published set of facts.

    Args:
        name: See `FACT_SETS`.
        path: A file to take instead of the published one, whatever is in the cache.
        snippets: The file of reference texts, for CounterFact's references; without it cases have none.

    Raises:
        UnknownName: If there is no such set, or the path does not exist.
        DataError: If a file is not the published one, or malformed.
        ObverseError: If it cannot be fetched.
    """
    if name not in FACT_SETS:
        raise UnknownName.among("data set", name, FACT_SETS)
    texts: Snippets | None = read_snippets(snippets) if snippets is not None else None
    return read_cases(official_file(name, path), texts)
