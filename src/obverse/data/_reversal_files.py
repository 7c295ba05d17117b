"""Rows of a reversal data set as JSON lines, and the record beside them that says whom each row is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from obverse.core import Config, DataError, file_hash
from obverse.data._reversal_types import Identity, Prompt
from obverse.data._rows import read_rows

RECORD = "set.json"
"""Name of the file that says what the rows do not."""

_Index = Annotated[int, Field(ge=-1)]

COPIES = {"all": "all_prompts_train", "unrealized_examples": "p2d_reverse_prompts_test"}
"""Files of the published set that are other files under a second name."""


def lines(rows: Sequence[Prompt]) -> bytes:
    """Return rows as the published files have them: ``{"prompt": ..., "completion": ...}``, one a line."""
    return "".join(json.dumps({"prompt": row.prompt, "completion": row.completion}) + "\n" for row in rows).encode()


class FileEntry(Config):
    """What is recorded of a file: its hash, and of each row its person and wording."""

    sha256: str
    """Of its bytes."""
    entities: tuple[_Index, ...]
    """Person of each row, -1 if unknown."""
    templates: tuple[_Index, ...]
    """Wording of each row, -1 if unknown."""

    @classmethod
    def of(cls, rows: Sequence[Prompt]) -> FileEntry:
        """Return the entry for rows."""
        return cls(
            sha256=hashlib.sha256(lines(rows)).hexdigest(),
            entities=tuple(row.entity for row in rows),
            templates=tuple(row.template for row in rows),
        )


class Record(Config):
    """All that a set's rows do not say."""

    format: Literal["obverse reversal set, version 1"] = "obverse reversal set, version 1"
    """What the file is."""
    made_from: dict[str, JsonValue]
    """Seed, sizes, options."""
    identities: tuple[Identity, ...]
    """People."""
    groups: dict[str, tuple[_Index, ...]]
    """Group to people."""
    files: dict[str, FileEntry]
    """Stem of a file to its entry."""


def read_record(path: Path) -> Record:
    """Read the record of a set.

    Raises:
        DataError: If it is not one, is of another version, or names people that it does not have.
    """
    try:
        found = Record.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        why = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
        raise _bad(path, why) from error
    members = [entity for group in found.groups.values() for entity in group]
    members += [entity for entry in found.files.values() for entity in entry.entities]
    if max(members, default=-1) >= len(found.identities):
        raise _bad(path, f"it names person {max(members)} of {len(found.identities)}")
    return found


def checked_rows(path: Path, entry: FileEntry) -> tuple[Prompt, ...]:
    """Read a file that a record names.

    Raises:
        DataError: If it is missing, or not the file that was written with the record.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing, but {RECORD} names it.", "Build the set again.")
    if file_hash(path) != entry.sha256:
        raise DataError(
            f"{path.name} in {path.parent} is not the file that was written with this set: it comes from another run, "
            "or was changed.",
            f"Build the set again; to read changed files all the same, move {RECORD} away.",
        )
    rows = plain_rows(path)
    if not len(rows) == len(entry.entities) == len(entry.templates):
        raise _bad(path.parent / RECORD, f"it does not have one entry a row for {path.name}")
    return tuple(
        Prompt(row.prompt, row.completion, entity, template)
        for row, entity, template in zip(rows, entry.entities, entry.templates, strict=True)
    )


def published_rows(folder: Path) -> dict[str, tuple[Prompt, ...]]:
    """Read every file of a published folder; copies of others are left out.

    Raises:
        DataError: If there is none, or a file is malformed.
    """
    stems = sorted(path.stem for path in folder.glob("*.jsonl"))
    wanted = [stem for stem in stems if not (stem in COPIES and COPIES[stem] in stems)]
    if not any("_prompts_" in stem for stem in wanted):
        raise DataError(
            f"{folder} holds no reversal data: no file such as p2d_prompts_train.jsonl.",
            "Name the folder that holds the .jsonl files, or make one with `obverse reversal build`.",
        )
    return {stem: plain_rows(folder / f"{stem}.jsonl") for stem in wanted}


def plain_rows(path: Path) -> tuple[Prompt, ...]:
    """Read prompts and completions.

    Raises:
        DataError: If the file is empty or a row does not have both as text.
    """
    rows: list[Prompt] = []
    for place, row in read_rows(path):
        match row:
            case {"prompt": str(prompt), "completion": str(completion)}:
                rows.append(Prompt(prompt, completion))
            case _:
                raise DataError(
                    f"{path.name}, {place}: no prompt and completion, but {', '.join(row) or 'nothing'}.",
                    'Write {"prompt": "...", "completion": " ..."} on each line.',
                )
    return tuple(rows)


def _bad(path: Path, why: str) -> DataError:
    return DataError(f"{path} is not the record of a reversal set: {why}.", "Build the set again.")
