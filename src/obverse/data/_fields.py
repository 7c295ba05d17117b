"""Take typed values out of a record: a text, or several."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from obverse.core import DataError, JsonValue

Record = Mapping[str, JsonValue]

Neighbour = tuple[str, str | None]
"""A question about another subject, and its answer if it is known."""

_PIPE = re.compile(r"(?:^|\s)\|(?:\s|$)")


def optional_text(record: Record, key: str) -> str | None:
    """Return the text under a key; None if it is absent, null or blank. A whole number counts as its digits.

    Raises:
        DataError: If it is neither.
    """
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise DataError(f"{key!r} is {value!r}, not a text.", f"Put the {key} in quotes.")
    return value


def required_text(record: Record, key: str) -> str:
    """Return the text under a key.

    Raises:
        DataError: If it is absent or blank, with near matches among the keys there are.
    """
    value = optional_text(record, key)
    if value is not None:
        return value
    if key in record:
        raise DataError(f"{key!r} is empty.", f"Give a {key}.")
    found = ", ".join(record) or "none"
    near = get_close_matches(key, list(record), n=2, cutoff=0.6)
    wish = f"Rename {' or '.join(repr(name) for name in near)} to {key!r}." if near else f"Add a column {key!r}."
    raise DataError(f"There is no {key!r}; found: {found}.", wish)


def texts(record: Record, key: str) -> tuple[str, ...]:
    """Return the texts under a key: a list of them, as they are, or one text in which `` | `` separates them.

    Raises:
        DataError: If it is something else.
    """
    return tuple(text for text in _texts(record, key) if text.strip())


def _texts(record: Record, key: str) -> list[str]:
    value = record.get(key)
    if value is None:
        return []
    if isinstance(value, str):
        return [text.strip() for text in _PIPE.split(value)]
    if isinstance(value, list):
        found = [item for item in value if isinstance(item, str)]
        if len(found) == len(value):
            return found
    raise DataError(f"{key!r} is {value!r}, not a list of texts.", 'Write ["first", "second"], or first | second.')


def neighbours(record: Record, key: str) -> tuple[Neighbour, ...]:
    """Return (prompt, answer) pairs under a key.

    Accepted are a list of prompts, of ``[prompt, answer]`` and of ``{"prompt": ..., "answer": ...}``, or one text of
    the form ``prompt => answer | prompt => answer``.

    Raises:
        DataError: If an entry has another form.
    """
    value = record.get(key)
    if value is None:
        return ()
    entries: list[JsonValue] = value if isinstance(value, list) else list(texts(record, key))
    return tuple(_neighbour(entry, key) for entry in entries)


def _neighbour(entry: JsonValue, key: str) -> Neighbour:
    match entry:
        case str() if "=>" in entry:
            prompt, _, answer = (part.strip() for part in entry.rpartition("=>"))
            if prompt and answer:
                return prompt, answer
        case str() if entry.strip():
            return entry, None
        case [str(prompt), str() | None as answer] if prompt.strip():
            return prompt, answer
        case {"prompt": str(prompt), **rest} if prompt.strip() and set(rest) <= {"answer"}:
            answer = rest.get("answer")
            if isinstance(answer, str) or answer is None:
                return prompt, answer
        case _:
            pass
    raise DataError(
        f"{key!r} has an entry {entry!r}, which is not a prompt with an answer.",
        'Write "prompt => answer", ["prompt", "answer"] or {"prompt": "...", "answer": "..."}.',
    )
