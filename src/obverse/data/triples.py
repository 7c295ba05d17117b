"""Plain facts as triples: subject, relation, object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from obverse.core import DataError, ObverseError
from obverse.data._fields import Record, required_text
from obverse.data._rows import read_rows

COLUMNS = ("subject", "relation", "object")


class Triple(NamedTuple):
    """A fact: the subject has the object by the relation.

    Subject and object stand as in the middle of a sentence, with their article ("the Netherlands").
    """

    subject: str
    relation: str
    object: str


Truths = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Relation → subject → its objects; all in alphabetical order, so that nothing depends on the order of a file."""


def read_triples(path: Path, relations: Iterable[str] | None = None) -> list[Triple]:
    """Read triples from a CSV, JSON or JSONL file with the columns subject, relation and object.

    Args:
        path: The file, in UTF-8.
        relations: Relations that may occur; None allows any.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a record is malformed, a triple stands twice, or relations are not among those that may occur.
    """
    triples: dict[Triple, str] = {}
    for place, record in read_rows(path):
        try:
            triple = _triple(record)
        except ObverseError as error:
            raise DataError(f"{path.name}, {place}: {error.message}", error.hint) from error
        if triple in triples:
            raise DataError(f"{path.name}, {place}: {tuple(triple)} stands on {triples[triple]} too.", "Keep one.")
        triples[triple] = place
    if relations is not None:
        _check_relations(path.name, triples, list(relations))
    return list(triples)


def _triple(record: Record) -> Triple:
    triple = Triple(*(required_text(record, key).strip() for key in COLUMNS))
    for key in record:
        if key not in COLUMNS:
            near = get_close_matches(key, COLUMNS, n=1, cutoff=0.6)
            wish = f"Did you mean {near[0]!r}? " if near else "Remove it. "
            raise DataError(f"Unknown column {key!r}.", f"{wish}Columns: {', '.join(COLUMNS)}.")
    return triple


def _check_relations(source: str, triples: Mapping[Triple, str], relations: list[str]) -> None:
    first = {triple.relation: place for triple, place in reversed(list(triples.items()))}
    if unknown := {name: place for name, place in first.items() if name not in relations}:
        near = sorted({match for name in unknown for match in get_close_matches(name, relations, n=1, cutoff=0.6)})
        wish = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        found = ", ".join(f"{name!r} ({source}, {place})" for name, place in unknown.items())
        raise DataError(
            f"There are no templates of the relation{'s' if len(unknown) > 1 else ''} {found}.",
            f"{wish}Add them to the file of relations; in it are: {', '.join(relations) or 'none'}.",
        )


def truths(triples: Iterable[Triple]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Sort triples into questions: relation → subject → its objects, all in alphabetical order."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for subject, relation, object_ in sorted(set(triples), key=lambda t: (t.relation, t.subject, t.object)):
        of = found.setdefault(relation, {})
        of[subject] = (*of.get(subject, ()), object_)
    return found


def objects(of: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the objects of a relation's subjects, each once, in alphabetical order."""
    return sorted({object_ for found in of.values() for object_ in found})
