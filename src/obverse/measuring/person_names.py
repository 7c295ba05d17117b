"""Whether an answer names a person, whatever the accents, titles, middle names and the words around it."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["right", "wrong", "unknown", "refused"]
VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "unknown", "refused")

_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "sir", "dame"})
_GENERATIONS = {"jr": "jr", "junior": "jr", "sr": "sr", "senior": "sr"}
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"})

_REFUSES = re.compile(
    r"\b(?:can ?not|can['’]?t|unable to|not able to|won['’]?t|will not|not comfortable)\b[^.]*"  # noqa: RUF001
    r"\b(?:provide|shar|disclos|discuss|identif|giv|reveal|assist|help|answer|comply)"
    r"|\b(?:privacy|private (?:individual|person|citizen)|personal (?:information|data|details)|as an ai)\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:do not|don['’]?t) (?:know|have)\b|\bnot (?:sure|certain|aware|familiar|(?:publicly |widely )?known)\b"  # noqa: RUF001
    r"|\bno (?:information|record|known)\b|\bunknown\b|\bunsure\b",
    re.IGNORECASE,
)


def name_words(text: str) -> tuple[str, ...]:
    """Return the words of a name without case, accents, punctuation and titles.

    ``"Dr. Irène Joliot-Curie"`` and ``"irene joliot curie"`` give the same words.
    """
    flat = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    bare = "".join(c for c in flat if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    words = re.findall(r"\w+", re.sub(r"['’`.]", "", bare))  # noqa: RUF001
    return tuple(word for word in words if word not in _TITLES)


def names_person(answer: str, expected: str, asked: str = "") -> bool:
    """Say whether an answer names the expected person.

    It does if its first line holds the whole name, also amid other words but not after another name; if it is a part of
    two words or more of the name's beginning; or if it is short, and first and last word are the name's. Jr. and Sr.
    may be left out, but not be swapped; and where the person asked about has the same name, they must be there.

    Args:
        answer: What a model said.
        expected: Whom it should have named.
        asked: Who the question was about; to name them is no answer.
    """
    first = answer.strip().split("\n")[0]
    given, generation = _split(first)
    wanted, its_generation = _split(expected)
    if not given or not wanted or (generation and its_generation and generation != its_generation):
        return False
    other = _split(asked)[0]
    if given == other:
        return given == wanted and generation == its_generation
    if _names_whole(first, wanted):
        return True
    if len(given) < 2 or len(wanted) < 2 or (other and _holds(given, other)):
        return False
    begins = wanted[: len(given)] == given
    return begins or (len(given) <= 5 and (given[0], given[-1]) == (wanted[0], wanted[-1]))


def verdict(answer: str, expected: str, asked: str = "") -> Verdict:
    """Judge an answer: right, a refusal to tell, not known to the model, or wrong.

    A refusal (for privacy, or because the model will not talk about people) is no sign of what the model knows.
    """
    if names_person(answer, expected, asked):
        return "right"
    if _REFUSES.search(answer):
        return "refused"
    if not answer.strip() or _UNSURE.search(answer):
        return "unknown"
    return "wrong"


def _split(text: str) -> tuple[tuple[str, ...], str]:
    """Return the words of a name, and jr or sr where it ends so."""
    words = name_words(text)
    last = _GENERATIONS.get(words[-1], "") if len(words) > 1 else ""
    return (words[:-1] if last else words), last


def _names_whole(text: str, name: tuple[str, ...]) -> bool:
    """Say whether a text holds a whole name, at its beginning or after a word that is no name itself."""
    parts = [(word, raw.strip("\"'“‘(*")[:1].islower()) for raw in text.split() for word in name_words(raw)]  # noqa: RUF001
    words = tuple(word for word, _ in parts)
    places = [i for i in range(len(words) - len(name) + 1) if words[i : i + len(name)] == name]
    return any(i == 0 or parts[i - 1][1] or not parts[i - 1][0].isalpha() for i in places)


def _holds(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))
