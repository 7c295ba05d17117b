"""Find whom or what a text is about, where the user does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUESTIONS = {"who", "whom", "whose", "what", "which", "where", "when", "why", "how"}
_OPENERS = {
    "the", "a", "an", "this", "that", "these", "those", "it", "there", "here", "he", "she", "they", "we", "i", "you",
    "in", "on", "at", "of", "to", "from", "for", "by", "with", "after", "before", "during", "while", "if", "as", "and",
    "but", "is", "my", "his", "her", "their", "our", "its",
}  # fmt: skip
"""Words that have a capital only because they open a sentence; alone they are no name."""

_WORD = re.compile(
    r"(?P<open>[\"'(\[{“‘«]*)"  # noqa: RUF001
    r"(?P<word>\S+?)"
    r"(?P<close>(?:['’]s?)?(?:[\"')\]}”’»,;:!?]|(?<=\w{3})\.)*)(?=\s|$)"  # noqa: RUF001 (the points of "J." and "St." stay)
)


def guess_subject(text: str) -> str | None:
    """Return the first run of capitalised words that does not start with a question word (rome.md 1.3).

    A run ends at a mark (a comma, a bracket, the end of a sentence) or a possessive ``'s``, neither of which is part of
    it. Departs from the original, which takes any capital: a run of words that only open the sentence ("The mother
    tongue of ...") is passed over.

    Args:
        text: A statement.

    Returns:
        The subject as it stands in the text; None if there is none.
    """
    for start, end in _runs(text):
        words = text[start:end].casefold().split()
        if not all(word in _OPENERS or word in _QUESTIONS for word in words):
            return text[start:end]
    return None


def occurrences(text: str, subject: str) -> int:
    """Return how often a subject stands in a text as words of its own."""
    return len(re.findall(rf"(?<!\w){re.escape(subject)}(?!\w)", text))


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the characters [start, end) of each run of capitalised words; a question word is a run of its own."""
    start = end = -1
    for found in _WORD.finditer(text):
        capital = found["word"][0].isupper()
        if start >= 0 and (not capital or found["open"]):
            yield start, end
            start = -1
        if not capital:
            continue
        start, end = (found.start("word") if start < 0 else start), found.end("word")
        if found["close"] or text[start:end].casefold() in _QUESTIONS:
            yield start, end
            start = -1
    if start >= 0:
        yield start, end
