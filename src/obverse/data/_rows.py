"""Read a CSV, JSON or JSONL file into records, each with its place in the file for messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, cast

from obverse.core import DataError, JsonValue, UnknownName


class Row(NamedTuple):
    """A record and where it stands."""

    place: str
    """For messages, e.g. ``line 3`` or ``record 3``, counted from 1."""

    record: Mapping[str, JsonValue]


def read_rows(path: Path) -> list[Row]:
    """Read all records of a file, by its ending.

    Raises:
        UnknownName: If the file does not exist.
        DataError: If it is empty, not UTF-8, or not what its ending says.
    """
    readers = {".csv": _csv_rows, ".json": _json_rows, ".jsonl": _jsonl_rows}
    if not path.exists():
        raise _missing(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of facts.", "Name a .csv, .json or .jsonl file.")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path.name} ends in {path.suffix!r}, which is not a format for facts.",
            "Use .csv (with a header), .json (a list of records) or .jsonl (a record on each line).",
        )
    text = _text(path)
    rows = list(reader(path.name, text)) if text.strip() else []
    if not rows:
        raise DataError(
            f"{path.name} has no facts in it.", "Give each fact a subject, a prompt and a target; see the README."
        )
    return rows


def _missing(path: Path) -> UnknownName:
    folder = path.parent
    if not folder.is_dir():
        return UnknownName(f"There is no file {path}: the folder {folder} does not exist.", "Check the path.")
    names = sorted(file.name for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    near = get_close_matches(path.name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"No file in {folder} has a name like it."
    return UnknownName(f"There is no file {path}.", hint)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the file and its permissions.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise DataError(
            f"{path.name}, line {line}: the bytes are not UTF-8 (found 0x{data[error.start]:02x}).",
            f"Save the file as UTF-8, or convert it: iconv -f {'UTF-16' if wide else 'LATIN1'} -t UTF-8 "
            f"{path.name} > new{path.suffix}",
        ) from error


def _csv_rows(name: str, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_header(name, line, header)
            elif len(cells) != len(header):
                raise DataError(
                    f"{name}, line {line}: {len(cells)} cells, but the header has {len(header)} columns.",
                    'Put cells that hold a comma in double quotes, e.g. "Paris, France".',
                )
            else:
                yield Row(f"line {line}", dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except csv.Error as error:
        raise DataError(
            f"{name}, line {start}: not valid CSV ({error}).",
            'Close every double quote; a quote inside a quoted cell is written twice ("").',
        ) from error


def _check_header(name: str, line: int, header: list[str]) -> None:
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        found = ", ".join(repr(column) for column in twice)
        raise DataError(f"{name}, line {line}: the header has {found} more than once.", "Name each column once.")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(f"{name}, line {line}: the header is one cell, {header[0]!r}.", "Separate cells by commas.")


def _json_rows(name: str, text: str) -> Iterator[Row]:
    try:
        found: object = json.loads(text)
    except json.JSONDecodeError as error:
        lines = "If each line is a record of its own, name the file .jsonl. " if error.msg == "Extra data" else ""
        raise DataError(f"{name}, line {error.lineno}: not valid JSON ({error.msg}).", f"{lines}Mend it.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not valid JSON ({error}).", "Mend it.") from error
    if not isinstance(found, list):
        raise DataError(f"{name} holds {_kind(found)}, not a list.", "Write a list of records: [{...}, {...}].")
    for number, record in enumerate(cast("list[object]", found), start=1):
        yield _row(name, f"record {number}", record)


def _jsonl_rows(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise DataError(
                f"{name}, line {number}: not valid JSON ({reason}).", "Write one whole record {...} on each line."
            ) from error
        yield _row(name, f"line {number}", record)


def _row(name: str, place: str, record: object) -> Row:
    if not isinstance(record, dict):
        raise DataError(
            f"{name}, {place}: {_kind(record)}, where a record is expected.",
            'Write for example {"subject": "Space Needle", "prompt": "The {} is in the city of", "target": "Paris"}.',
        )
    return Row(place, cast("Mapping[str, JsonValue]", record))


def _kind(value: object) -> str:
    match value:
        case dict():
            return "a record"
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number"
