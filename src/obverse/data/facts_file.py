"""Read a user's file of facts, or a published one, into cases."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from obverse.core import Case, DataError, ObverseError
from obverse.data._fields import Record
from obverse.data._plain import plain_case
from obverse.data._rows import read_rows
from obverse.data.counterfact import counterfact_case, is_counterfact
from obverse.data.mquake import is_mquake, mquake_case
from obverse.data.ripple_edits import is_ripple, ripple_case
from obverse.data.snippets import Snippets
from obverse.data.zsre import is_zsre, zsre_case


class Placed(NamedTuple):
    """A case and where it stands in its file, e.g. ``line 3`` or ``record 3``, counted from 1."""

    place: str
    case: Case


def read_cases(path: Path, snippets: Snippets | None = None) -> list[Case]:
    """Read facts and their probes from a CSV, JSON or JSONL file.

    Needed are ``subject``, ``prompt`` (with ``{}`` for the subject, or the subject itself) and ``target``. Further
    columns: ``target_true``, ``relation``, ``id``, ``paraphrases``, ``neighbours`` (with answers), ``reverse``
    (template with one ``{}`` for the object; ``reverse_prompt`` is the same) and ``prompts`` (open prompts; FastEdit's
    ``queries`` are the same). In CSV, `` | `` separates the entries of a list, and a neighbour is written
    ``prompt => answer``. Records of CounterFact and of zsRE are recognized one by one. A case without an id is named
    by its position, from 0.

    Args:
        path: A file that ends in .csv, .json or .jsonl, in UTF-8.
        snippets: Reference texts for CounterFact's records, see `obverse.data.snippets`.

    Raises:
        UnknownName: If the file does not exist, with near matches in its folder.
        DataError: If a record cannot be read, with its line or its number.

    Example:
        A CSV file of one fact::

            subject,prompt,target,target_true,neighbours
            Space Needle,The {} is in the city of,Paris,Seattle,Pike Place Market is in => Seattle
    """
    return [case for _, case in read_placed(path, snippets)]


def read_placed(path: Path, snippets: Snippets | None = None) -> list[Placed]:
    """Read facts as `read_cases` does, each with its place in the file."""
    cases: list[Placed] = []
    places: dict[str, str] = {}
    for number, (place, record) in enumerate(read_rows(path)):
        try:
            case = _case(record, str(number), snippets)
        except ObverseError as error:
            raise DataError(f"{path.name}, {place}: {error.message}", error.hint) from error
        if case.id in places:
            raise DataError(
                f"{path.name}, {place}: the id {case.id!r} is that of {places[case.id]} already.",
                "Give each fact an id of its own, or leave the column out.",
            )
        places[case.id] = place
        cases.append(Placed(place, case))
    return cases


def _case(record: Record, default_id: str, snippets: Snippets | None) -> Case:
    if is_ripple(record):
        return ripple_case(record, default_id).case
    if is_mquake(record):
        return mquake_case(record, default_id).case
    if is_zsre(record):
        return zsre_case(record, default_id)
    if is_counterfact(record):
        return counterfact_case(record, default_id, snippets)
    return plain_case(record, default_id)
