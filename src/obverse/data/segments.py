"""Cut a document into segments, which joined are the document again: sentences, lines, or one piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

Split = Literal["sentences", "lines", "none"]
"""How a document is cut."""

_MARKS, _OPENING, _CLOSING = ".!?…", "([{\"'“‘«", ")]}\"'”’»*_"  # noqa: RUF001 (quotation marks are meant)
_GAP = re.compile(rf"(?<=[{re.escape(_MARKS + _CLOSING)}])\s+|\n[^\S\n]*\n\s*|[。！？]+[」』”’）]*\s*")  # noqa: RUF001
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LONGEST = 40
"""Letters before a gap that are looked at."""

_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "rev", "gen", "col", "sgt", "lt", "capt", "gov", "sen", "rep",
    "hon", "no", "nos", "vol", "fig", "figs", "eq", "eqs", "sec", "ch", "pp", "vs", "cf", "e.g", "i.e", "dept", "univ",
    "approx", "ca", "est", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
})  # fmt: skip
"""Words after which a full stop ends no sentence, whatever follows."""


def segments(text: str, split: Split) -> tuple[str, ...]:
    r"""Cut a text.

    A sentence ends at a blank line, and with ``. ! ? …`` before white space, closing marks between them or not; but not
    with a full stop after an abbreviation or an initial, or before a small letter. Their East Asian forms need no white
    space. A line ends with ``\n``. Each segment keeps the white space that follows it.

    Args:
        text: Any text.
        split: How.

    Returns:
        Segments that are not empty; none if the text is empty.
    """
    if split == "lines":
        return tuple(re.findall(r"[^\n]*\n|[^\n]+", text))
    if split == "none":
        return (text,) if text else ()
    cuts = [0, *_ends(text), len(text)]
    return tuple(text[start:end] for start, end in pairwise(cuts) if end > start)


def _ends(text: str) -> Iterator[int]:
    """Yield the places where a sentence ends and another begins, in time linear in the text."""
    for gap in _GAP.finditer(text):
        if gap.end() == len(text) or not gap.start():
            continue
        east_asian, before = not gap[0][0].isspace(), text[max(0, gap.start() - _LONGEST) : gap.start()]
        if east_asian or _BLANK_LINE.search(gap[0]) or _closes(before.split()[-1], text[gap.end()]):
            yield gap.end()


def _closes(word: str, following: str) -> bool:
    """Say whether a word ends a sentence, given the first letter of the next one."""
    word = word.rstrip(_CLOSING)
    stem = word.rstrip(_MARKS)
    marks = word[len(stem) :]
    if marks != ".":
        return "!" in marks or "?" in marks or (bool(marks) and not following.islower())
    stem = stem.lstrip(_OPENING)
    initial = len(stem) == 1 and stem.isupper() and stem != "I"
    return not (initial or following.islower() or stem.lower() in _ABBREVIATIONS)
