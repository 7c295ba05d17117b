"""Well-known people and their parents: our own list, or one of the user's."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias, cast

from obverse.core import DataError

ParentType: TypeAlias = Literal["mother", "father"]
PARENT_TYPES: tuple[ParentType, ...] = ("mother", "father")
COLUMNS = ("child", "parent", "parent_type")


@dataclass(frozen=True, slots=True)
class Pair:
    """A child and a parent of theirs."""

    child: str
    parent: str
    parent_type: ParentType


@dataclass(frozen=True, slots=True)
class People:
    """Whom to ask about.

    Attributes:
        children: Names, each once, in the list's order.
        pairs: Their parents as far as the list knows them; none where it holds names alone.
    """

    children: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def first(self, number: int) -> People:
        """Return the first so many children, with their parents."""
        kept = self.children[:number]
        return People(kept, tuple(pair for pair in self.pairs if pair.child in kept))


def public_figures() -> People:
    """Return our own list: public figures, almost all of them of history, with the parents by common knowledge."""
    source = files("obverse.data") / "samples" / "public_figures.csv"
    return _people("the list of public figures", source.read_text("utf-8").splitlines())


def read_people(path: Path) -> People:
    """Read a list: a CSV file with the columns child, parent and parent_type, or a name a line.

    Other columns are left out, so that published tables of pairs can be given.

    Raises:
        DataError: If the file cannot be read, is empty, or has blank lines, duplicates or other kinds of parents; all
            that is wrong is named with its line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Give a UTF-8 file.") from error
    return _people(str(path), text.splitlines())


def _people(name: str, lines: list[str]) -> People:
    header: list[str] = next(csv.reader(lines[:1]), list[str]())
    if "child" in header:
        if missing := [column for column in COLUMNS if column not in header]:
            raise DataError(f"{name} has no column {' and '.join(missing)}.", f"The columns are {', '.join(COLUMNS)}.")
        people, wrong = _pairs(csv.reader(lines[1:], strict=True), header)
    else:
        people, wrong = _names(lines)
    if wrong:
        shown = "\n  ".join(wrong[:10])
        more = f"\n  and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise DataError(f"{name} has lines that cannot be used:\n  {shown}{more}", "Remove or mend them.")
    if not people.children:
        raise DataError(f"{name} names nobody.", "Give a name a line, or a CSV file of children and parents.")
    return people


def _names(lines: Iterable[str]) -> tuple[People, list[str]]:
    known, wrong = dict[str, int](), list[str]()
    for number, line in enumerate(lines, start=1):
        if not (name := line.strip()):
            wrong.append(f"line {number} is blank")
        elif name in known:
            wrong.append(f"line {number} has {name!r}, as line {known[name]} does")
        else:
            known[name] = number
    return People(tuple(known), ()), wrong


def _pairs(rows: Iterable[list[str]], header: list[str]) -> tuple[People, list[str]]:
    known, wrong = dict[Pair, int](), list[str]()
    for number, row in enumerate(rows, start=2):
        found = {column: value.strip() for column, value in zip(header, row, strict=False)}
        child, parent, kind = (found.get(column, "") for column in COLUMNS)
        pair = Pair(child, parent, cast("ParentType", kind))
        if not child or not parent:
            wrong.append(f"line {number} is blank" if not any(row) else f"line {number} lacks a name")
        elif kind not in PARENT_TYPES:
            wrong.append(f"line {number} has the parent_type {kind!r}, not mother or father")
        elif pair in known:
            wrong.append(f"line {number} has {child!r} and {parent!r}, as line {known[pair]} does")
        else:
            known[pair] = number
    return People(tuple(dict.fromkeys(pair.child for pair in known)), tuple(known)), wrong
