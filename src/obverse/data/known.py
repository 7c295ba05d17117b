"""Sets of facts by name, for work that wants facts a model is likely to know: averaging causal traces, above all.

=========== ==============================================================================================
name        facts
=========== ==============================================================================================
``known``   the 1,209 statements that ROME's authors trace; fetched once from their site, 340 KB
``builtin`` some 200 well-known facts that come with the package
a file      a user's own facts, see `obverse.data.read_cases`; or a file in the format of the known statements
=========== ==============================================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from obverse.core import Case, DataError, Fact, JsonValue, ObverseError, UnknownName, cache_dir, write_whole
from obverse.data._download import download
from obverse.data._fields import Record, optional_text, required_text
from obverse.data._known import RELATIONS
from obverse.data._rows import Row, read_rows
from obverse.data.facts_file import read_cases
from obverse.data.relations import facts_of

DATASETS = ("known", "builtin")
"""Names that `dataset` knows."""

URL = "https://rome.baulab.info/data/dsets/known_1000.json"
COUNT = 1209
DIGEST = "79ea1dd9a3eb8367758732c6a88830ef0b71d8a1e38da03e97e11a5dd683e8f5"
"""SHA-256 of the records with an even ``known_id``, by id, as compact JSON in UTF-8: of each the keys `DIGESTED` in
alphabetical order. It covers these alone because only they were at hand when it was taken; of the others the number and
the ids are checked."""
DIGESTED = ("attribute", "known_id", "prompt", "relation_id", "subject")

BYTES = 4_000_000
"""Size of the download, at most: ten times what is expected."""


def dataset(name: str) -> list[Case]:
    """Return a set of facts.

    Args:
        name: ``known``, ``builtin``, or the path of a CSV, JSON or JSONL file.

    Returns:
        Cases with ids of their own, in the order of the set.

    Raises:
        UnknownName: If it is neither a set nor a file, with near matches.
        DataError: If a record is malformed, or the known statements are not the published ones.
        ObverseError: If the known statements cannot be fetched.
    """
    if name == "known":
        return known_facts()
    if name == "builtin":
        return builtin_facts()
    path = Path(name)
    if not (path.exists() or path.suffix or path.name != name):
        error = UnknownName.among("data set", name, DATASETS)
        raise UnknownName(error.message, f"{error.hint} Or name a .csv, .json or .jsonl file of facts.")
    if path.is_file() and path.suffix.lower() in (".csv", ".json", ".jsonl"):
        rows = read_rows(path)
        if "attribute" in rows[0].record and "target" not in rows[0].record:
            return _known_cases(path.name, rows)
    return read_cases(path)


def builtin_facts() -> list[Case]:
    """Return the facts of the table of known relations, each in its relation's first wording."""
    return [Case.of(fact, id=_id(relation.name, fact.subject)) for relation in RELATIONS for fact in facts_of(relation)]


def _id(*parts: str) -> str:
    return re.sub(r"\W+", "-", " ".join(parts).casefold()).strip("-")


def known_facts(path: Path | None = None) -> list[Case]:
    """Return the statements that ROME's authors found GPT-2 XL to complete correctly, and traced.

    Args:
        path: A file in their format, e.g. a part of them, taken as it is; None is the published file, from the cache
            or else from the authors' site.

    Raises:
        DataError: If a record is malformed, or the published file has changed.
        ObverseError: If it cannot be fetched.

    Source:
        Meng et al. 2022, "Locating and Editing Factual Associations in GPT", appendix B.1.
    """
    if path is not None:
        return _known_cases(path.name, read_rows(path))
    kept = cache_dir() / "datasets" / "known_1000.json"
    rows = _rows_if_published(kept.read_bytes()) if kept.is_file() else None
    if rows is None:
        data = _download()
        rows = _rows_if_published(data)
        if rows is None:
            raise DataError(
                f"What {URL} gives is not the file of {COUNT:,} known facts that was published.",
                "If you trust it, download it and give the file itself as the data set.",
            )
        write_whole(kept, lambda part: part.write_bytes(data))
    return _known_cases(kept.name, rows)


def _download() -> bytes:
    hint = "Download that file where there is a network and give it as the data set, or take the data set 'builtin'."
    content = io.BytesIO()
    download(URL, content, BYTES, "the known facts", hint)
    return content.getvalue()


def _rows_if_published(data: bytes) -> list[Row] | None:
    """Return the records if they are the published ones."""
    try:
        records: list[dict[str, JsonValue]] = json.loads(data)
        by_id = {record["known_id"]: record for record in records}
        even = [{key: by_id[id][key] for key in DIGESTED} for id in range(0, COUNT, 2)]
    except (ValueError, TypeError, KeyError):
        return None
    text = json.dumps(even, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    whole = len(records) == COUNT and set(by_id) == set(range(COUNT))
    if not whole or hashlib.sha256(text.encode()).hexdigest() != DIGEST:
        return None
    return [Row(f"record {number}", record) for number, record in enumerate(records, start=1)]


def _known_cases(name: str, rows: Sequence[Row]) -> list[Case]:
    cases: dict[str, Case] = {}
    for number, (place, record) in enumerate(rows):
        try:
            case = _known_case(record, str(number))
        except ObverseError as error:
            raise DataError(f"{name}, {place}: {error.message}", error.hint) from error
        if case.id in cases:
            raise DataError(f"{name}, {place}: the id {case.id!r} stands twice.", "Give each fact an id of its own.")
        cases[case.id] = case
    return list(cases.values())


def _known_case(record: Record, default_id: str) -> Case:
    prompt, subject, answer = (required_text(record, key) for key in ("prompt", "subject", "attribute"))
    fact = Fact.from_text(prompt, subject, answer, relation=optional_text(record, "relation_id"))
    return Case.of(fact, id=optional_text(record, "known_id") or default_id)
