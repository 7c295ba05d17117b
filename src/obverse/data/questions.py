"""Answers under several names, as the records of published sets hold them."""

from __future__ import annotations

from obverse.core import DataError, JsonValue
from obverse.data._fields import Record, optional_text, texts


def names(record: Record, key: str, alias_key: str) -> tuple[str, ...]:
    """Return an answer and its other names, each once; none where there are none.

    Raises:
        DataError: If the answer is no text, or the names are no list of texts.
    """
    first = optional_text(record, key)
    return tuple(dict.fromkeys([*([first] if first else []), *texts(record, alias_key)]))


def records(record: Record, key: str) -> list[Record]:
    """Return the records in the list under a key; none where it is absent.

    Raises:
        DataError: If it is something else.
    """
    value: JsonValue = record.get(key)
    found = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    if value is not None and (not isinstance(value, list) or len(found) < len(value)):
        raise DataError(f"{key!r} is {value!r}, not a list of records.", "Write [{...}, {...}].")
    return list(found)
