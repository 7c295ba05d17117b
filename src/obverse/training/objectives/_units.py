"""Cut a document into words and entities, and put the pieces back in another order, each with its score."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Literal, TypeAlias, cast

import numpy as np

from obverse.core import DataError
from obverse.data.scored import ScoredText

Kind: TypeAlias = Literal["space", "word", "mark", "entity"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document.

    Attributes:
        text: Its characters.
        kind: White space, a word, punctuation beside a word, or an entity.
        segment: Number of the document's segment that its first character belongs to.
        start: Place of that character in the document; -1 for what the document does not have.
    """

    text: str
    kind: Kind
    segment: int
    start: int


def entities_of(document: ScoredText) -> tuple[str, ...]:
    """Return the entities that a document names in ``meta["entities"]``; none if it does not.

    Raises:
        DataError: If that is not a list of texts.
    """
    given = document.meta.get("entities", [])
    if not isinstance(given, list) or not all(isinstance(name, str) and name.strip() for name in given):
        raise DataError(
            f"The entities of a document are {given!r}, not a list of texts: {document.text[:60]!r}",
            'Write for example "entities": ["Marie Curie", "Warsaw"].',
        )
    return tuple(cast("list[str]", given))


def pieces(document: ScoredText, entities: Iterable[str] = ()) -> list[Piece]:
    """Cut a document; joined, the pieces are the document.

    A word is what stands between white space, with the punctuation at its ends cut off. An entity is one piece wherever
    it occurs whole, longer ones first; what touches it without white space is a piece, too.
    """
    text, ends = document.text, list(accumulate(len(segment) for segment in document.segments))
    names = "|".join(re.escape(name) for name in sorted({*entities}, key=len, reverse=True))
    found = re.finditer(rf"(?<!\w)(?:{names})(?!\w)", text) if names else ()
    cuts: list[tuple[int, int, Kind]] = []
    at = 0
    for match in found:
        cuts += [*_words(text, at, match.start()), (*match.span(), "entity")]
        at = match.end()
    cuts += _words(text, at, len(text))
    return [Piece(text[start:end], kind, bisect_right(ends, start), start) for start, end, kind in cuts]


def _words(text: str, start: int, end: int) -> list[tuple[int, int, Kind]]:
    found: list[tuple[int, int, Kind]] = []
    for match in re.compile(r"\s+|\S+").finditer(text, start, end):
        first, last = match.span()
        if text[first].isspace():
            found.append((first, last, "space"))
            continue
        if (first == start > 0) or (last == end < len(text)):  # it touches an entity, as in "Warsaw's"
            left, right = first, last
        else:
            left = next((i for i in range(first, last) if not _is_mark(text[i])), last)
            right = next((i for i in range(last, left, -1) if not _is_mark(text[i - 1])), left)
        core: Kind = "mark" if all(_is_mark(char) for char in match[0]) else "word"
        parts: list[tuple[int, int, Kind]] = [(first, left, "mark"), (left, right, core), (right, last, "mark")]
        found += [part for part in parts if part[0] < part[1]]
    return found


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def chunks(cut: Sequence[Piece], longest: int, draws: np.random.Generator | None) -> list[list[Piece]]:
    """Join pieces into chunks that can be moved; white space between two chunks is a chunk.

    What touches without white space stays together. A chunk is an entity with what touches it, or a run of words.

    Args:
        cut: The pieces of a document.
        longest: Most words in a run.
        draws: If given, each run's length is drawn from 1, 2, ... ``longest``, entities counting as a word in it;
            otherwise runs go from entity to entity, and are cut where they are longer.
    """
    joined: list[list[Piece]] = []
    words, room, after_entity = 0, 0, False
    gap: list[Piece] = []
    for space, group in groupby(cut, lambda piece: piece.kind == "space"):
        if space:
            gap = list(group)
            continue
        block = list(group)
        entity = draws is None and any(piece.kind == "entity" for piece in block)
        if words and words < room and not entity and not after_entity:
            joined[-1] += [*gap, *block]
            words += 1
        else:
            joined += [gap, block] if gap else [block]
            words, room = 1, longest if draws is None else int(draws.integers(1, longest + 1))
        gap, after_entity = [], entity
    return [*joined, gap] if gap else joined


def arranged(document: ScoredText, order: Iterable[Piece]) -> ScoredText:
    """Return a document of some pieces in a given order; neighbours of one segment make a segment, with its score.

    Where two words come to touch, a space is put between them.
    """
    parts = list(order)
    runs: list[tuple[int, str]] = []
    for i, piece in enumerate(parts):
        before = parts[i - 1] if i else piece
        meet = {before.kind, piece.kind} <= {"word", "entity"} and before.start + len(before.text) != piece.start
        runs.append((piece.segment, f" {piece.text}" if meet and i else piece.text))
    joined = [(n, "".join(text for _, text in run)) for n, run in groupby(runs, lambda pair: pair[0])]
    return ScoredText(tuple(text for _, text in joined), tuple(document.scores[n] for n, _ in joined), document.meta)
