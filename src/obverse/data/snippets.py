"""Reference texts: what is written about the things a target is true of, by relation and target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from obverse.core import DataError, ObverseError
from obverse.data._fields import Record, required_text
from obverse.data._rows import read_rows


class Snippet(NamedTuple):
    """A text about one thing."""

    name: str
    """What it is about."""

    text: str
    """The text."""


Snippets = Mapping[tuple[str, str], tuple[Snippet, ...]]
"""(Wikidata property, Wikidata id of the target) → texts."""


def read_snippets(path: Path) -> Snippets:
    """Read ``attribute_snippets.json``, as published with ROME: 926 MB, which take some three times that in memory.

    Args:
        path: A JSON file, a list of ``{"relation_id", "target_id", "samples": [{"name", "text"}]}``.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a record is malformed.

    Source:
        Meng et al. 2022, "Locating and Editing Factual Associations in GPT", appendix D.
    """
    found: dict[tuple[str, str], tuple[Snippet, ...]] = {}
    for place, record in read_rows(path):
        try:
            key = (required_text(record, "relation_id"), required_text(record, "target_id"))
            found[key] = (*found.get(key, ()), *_samples(record))
        except ObverseError as error:
            raise DataError(f"{path.name}, {place}: {error.message}", error.hint) from error
    return found


def _samples(record: Record) -> list[Snippet]:
    samples = record.get("samples")
    if not isinstance(samples, list):
        raise DataError(f"'samples' is {samples!r}, not a list.", 'Write [{"name": "...", "text": "..."}].')
    out: list[Snippet] = []
    for sample in samples:
        if not isinstance(sample, dict):
            raise DataError(f"'samples' has an entry {sample!r}.", 'Write {"name": "...", "text": "..."}.')
        out.append(Snippet(required_text(sample, "name"), required_text(sample, "text")))
    return out
