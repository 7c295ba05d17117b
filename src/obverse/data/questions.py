"""A question that has several right answers, each under several names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from obverse.core import DataError, JsonValue
from obverse.data._fields import Record, optional_text, texts


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answers.

    Attributes:
        text: The question, or the beginning of a statement.
        answers: Each answer in all its names; a reply is right if it has a name of *every* answer. Without answers
            none is.
    """

    text: str
    answers: tuple[tuple[str, ...], ...]

    def answered_by(self, reply: str) -> bool:
        """Say whether a reply has a name of each answer, as words of their own, whatever the capitals."""
        return bool(self.answers) and all(any(_mentions(reply, name) for name in names) for names in self.answers)


def _mentions(reply: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.strip())}(?!\w)", reply, re.IGNORECASE) is not None


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
