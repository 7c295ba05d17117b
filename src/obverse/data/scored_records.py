"""From a record of a corpus to a document.

A record is what the published corpora hold: ``texts`` (segments, which joined are the document) with ``scores``, or
``text`` (also ``content``) with or without ``score``. Other fields become the document's ``meta``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, cast

from obverse.core import DataError, JsonValue
from obverse.data.scored import ScoredText

Record = Mapping[str, JsonValue]

_OWN = frozenset({"texts", "scores", "avg_score", "num_sents", "num_lines", "text", "content", "score", "meta"})


class Document(NamedTuple):
    """A document and where it stands."""

    place: str
    """For messages, e.g. ``mails.jsonl, line 3``."""

    text: ScoredText
    """Its scores are 0 if it came without."""

    scored: bool
    """Whether it came with scores."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it but white space."""
        return not any(not segment.isspace() for segment in self.text.segments if segment)


def document_of(place: str, record: object) -> Document:
    """Read a record.

    Args:
        place: Where it stands, for messages.
        record: As it came from a file or a data set.

    Raises:
        DataError: If it is malformed; the message begins with the place.
    """
    if not isinstance(record, dict):
        raise DataError(f"{place}: no record.", 'Write for example {"text": "..."}.')
    given = cast("Record", record)
    try:
        segments, scores = _segments(given)
        text = ScoredText(segments, (0.0,) * len(segments) if scores is None else scores, _meta(given))
    except DataError as error:
        raise DataError(f"{place}: {error.message}", error.hint) from error
    return Document(place, text, scores is not None)


def _segments(record: Record) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    if (texts := record.get("texts")) is not None:
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError("'texts' is not a list of texts.", 'Write ["First sentence. ", "Second."].')
        return tuple(cast("list[str]", texts)), _scores(record.get("scores"))
    text = record.get("text", record.get("content"))
    if not isinstance(text, str):
        found = ", ".join(record) or "none"
        raise DataError(f"there is no 'text' and no 'texts'; found: {found}.", "Rename the field that holds the text.")
    score = record.get("score")
    return (text,), None if score is None else _scores([score])


def _scores(given: JsonValue) -> tuple[float, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(s, int | float) and not isinstance(s, bool) for s in given):
        raise DataError(f"the scores are not numbers: {str(given)[:60]}.", "Give one number a segment.")
    return tuple(float(score) for score in cast("list[float]", given))


def _meta(record: Record) -> dict[str, JsonValue]:
    given = record.get("meta")
    if isinstance(given, str) and given.startswith("{"):  # as `write_documents` puts it into Parquet
        with suppress(ValueError):
            given = cast("JsonValue", json.loads(given))
    own = cast("dict[str, JsonValue]", given) if isinstance(given, dict) else {} if given is None else {"meta": given}
    others = {key: value for key, value in record.items() if key not in _OWN}
    return {key: _json(value) for key, value in (others | own).items()}


def _json(value: object) -> JsonValue:
    """Return a field as a JSON value: a number that is none as null, and what JSON does not know (a date) as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in cast("list[object]", value)]
    return str(value)
