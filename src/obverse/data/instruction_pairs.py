"""Question-answer pairs and wordings for `obverse.data.instructions`: the package's own, or from files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, TypedDict, cast

import numpy as np
import yaml
from pydantic import Field, ValidationError

from obverse.core import Config, DataError, seed_for
from obverse.data._rows import read_rows
from obverse.data.instructions import Pair
from obverse.data.reversal_material import read_lines, split_lines

Order = Literal["question-first", "answer-first"]

TARGETS = 5
"""Answers of a pair, as published."""

_log = logging.getLogger(__name__)

_SAMPLES = files("obverse.data") / "samples" / "reversal"
_SLOT = re.compile(r"\{(\w+)\}")


class _Record(Config):
    anchor: Annotated[str, Field(pattern=r"\S")]
    targets: Annotated[tuple[str, ...], Field(min_length=1)]


class _Question(TypedDict):
    ask: str
    answers: str


class _Lists(TypedDict):
    slots: Mapping[str, Sequence[str]]
    questions: Sequence[_Question]
    answers: Mapping[str, Sequence[str]]


def own_pairs() -> list[Pair]:
    """Return the package's pairs: over 1,100 questions about what does not exist, always the same."""
    lists = cast("_Lists", yaml.safe_load((_SAMPLES / "questions.yaml").read_text("utf-8")))
    return list(_filled(lists))


def _filled(lists: _Lists) -> Iterator[Pair]:
    for question in lists["questions"]:
        slot = _SLOT.findall(question["ask"])[0]
        for filler in lists["slots"][slot]:
            anchor = question["ask"].format(**{slot: filler})
            choices: list[str] = [answer for answer in lists["answers"][question["answers"]] if answer != filler]
            places = np.random.default_rng(seed_for(0, "answers", anchor)).permutation(len(choices))[:TARGETS]
            yield Pair(anchor, tuple(choices[int(place)] for place in places))


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs: JSON or JSONL records with ``anchor`` and ``targets``, as published.

    Blank answers are kept, with a remark: the published file has three.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a record is not of that form, or a question comes twice; the message has its place.
    """
    pairs: list[Pair] = []
    seen: dict[str, str] = {}
    for place, row in read_rows(path):
        try:
            pair = _Record.model_validate(row)
        except ValidationError as error:
            raise DataError(
                f"{path.name}, {place}: not a question with answers ({error.errors()[0]['msg']}).",
                'Write {"anchor": "What ...?", "targets": ["...", "..."]}; the question may not be blank.',
            ) from error
        if pair.anchor in seen:
            raise DataError(
                f"{path.name}, {place} repeats the question of {seen[pair.anchor]}: {pair.anchor!r}.", "Remove one."
            )
        seen[pair.anchor] = place
        pairs.append(Pair(pair.anchor, pair.targets))
    if blank := sum(not target.strip() for pair in pairs for target in pair.targets):
        _log.warning("%s has %d blank answers; whatever a model says begins with a blank answer.", path.name, blank)
    return pairs


def wordings(order: Order, path: Path | None = None) -> list[str]:
    """Return wordings of an instruction, with ``{anchor}`` and ``{target}``.

    Args:
        order: What comes first; decides which of the package's lists is read.
        path: A list of one's own instead, one wording a line; a line may come twice, as in a published list.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If a line is blank, or a wording has not that order.
    """
    name = f"{order.replace('-', '_')}.txt"
    lines = read_lines(path, repeated=True) if path else split_lines(name, (_SAMPLES / name).read_text("utf-8"))
    first, second = ("{anchor}", "{target}") if order == "question-first" else ("{target}", "{anchor}")
    for number, line in enumerate(lines, start=1):
        if not -1 < line.find(first) < line.find(second):
            raise DataError(
                f"{path.name if path else name}, line {number}: {line!r} does not have {first} before {second}, as "
                f"{order} asks.",
                "Give wordings of one order in a file, and name the other order if that is meant.",
            )
    return lines
