"""What reversal data is made of: names, descriptions and templates, from the package or from files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from obverse.core import DataError, UnknownName
from obverse.data._reversal_grammar import Template, cleaned, described

_SAMPLES = files("obverse.data") / "samples" / "reversal"

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Material:
    """Lists of lines, each without blank or repeated ones.

    Attributes:
        names: Names.
        descriptions: Descriptions, in the grammar of `obverse.data._reversal_grammar`.
        name_first: Templates with the name first.
        description_first: Templates with the description first.
    """

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    name_first: tuple[Template, ...]
    description_first: tuple[Template, ...]


def read_material(
    names: Path | None = None,
    descriptions: Path | None = None,
    name_first: Path | None = None,
    description_first: Path | None = None,
) -> Material:
    """Read lists, one entry a line; what is not given comes from the package.

    Raises:
        UnknownName: If a file does not exist.
        DataError: If a line is blank, repeated or not understood; the message has file and line.
    """

    def read(path: Path | None, default: str, parse: Callable[[str], Part]) -> tuple[Part, ...]:
        lines = read_lines(path) if path else split_lines(default, (_SAMPLES / default).read_text("utf-8"))
        return tuple(_parsed(path.name if path else default, lines, parse))

    return Material(
        read(names, "names.txt", _checked),
        read(descriptions, "descriptions.txt", _checked_description),
        read(name_first, "name_first.txt", lambda line: Template.parse(line, "description")),
        read(description_first, "description_first.txt", lambda line: Template.parse(line, "name")),
    )


def material(
    names: Sequence[str], descriptions: Sequence[str], name_first: Sequence[str], description_first: Sequence[str]
) -> Material:
    """Return material of texts in hand.

    Raises:
        DataError: As `read_material`.
    """

    def parsed(what: str, texts: Sequence[str], parse: Callable[[str], Part]) -> tuple[Part, ...]:
        return tuple(_parsed(what, split_lines(what, "\n".join(texts)), parse))

    return Material(
        parsed("names", names, _checked),
        parsed("descriptions", descriptions, _checked_description),
        parsed("name_first", name_first, lambda line: Template.parse(line, "description")),
        parsed("description_first", description_first, lambda line: Template.parse(line, "name")),
    )


def read_lines(path: Path, *, repeated: bool = False) -> list[str]:
    """Read a list: one entry a line, stripped.

    Args:
        path: A text file, UTF-8.
        repeated: Whether a line may come twice.

    Raises:
        UnknownName: If it does not exist.
        DataError: If it is empty or not UTF-8, or a line is blank or repeated (case and blanks do not count).
    """
    if not path.is_file():
        raise UnknownName(f"There is no file {path}.", "Check the path; a list is a text file with one entry a line.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8.", "Save it as UTF-8.") from error
    return split_lines(path.name, text, repeated=repeated)


def split_lines(what: str, text: str, *, repeated: bool = False) -> list[str]:
    """Return the lines of a list, stripped; see `read_lines`."""
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines:
        raise DataError(f"{what} is empty.", "Give one entry a line.")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            raise DataError(f"{what}, line {number} is blank.", "Remove it: one entry a line.")
        key = re.sub(r"\s+", " ", line).casefold()
        if key in seen and not repeated:
            raise DataError(f"{what}, line {number} repeats line {seen[key]}: {line!r}.", "Remove one of them.")
        seen.setdefault(key, number)
    return lines


def _checked_description(line: str) -> str:
    _checked(described("", line).description)
    return line


def _checked(text: str) -> str:
    """Refuse a text that would not stand in a sentence as it is, because sentences are cleaned."""
    if cleaned(f"{text}?") != f"{text}?":
        raise DataError(
            f"{text!r} has doubled blanks or stops, or ends in a full stop, which a sentence would lose.",
            f"Write {cleaned(f'{text}?')[:-1]!r}.",
        )
    return text


def _parsed(what: str, lines: Sequence[str], parse: Callable[[str], Part]) -> list[Part]:
    out: list[Part] = []
    for number, line in enumerate(lines, start=1):
        try:
            out.append(parse(line))
        except DataError as error:
            raise DataError(f"{what}, line {number}: {error.message}", error.hint) from error
    return out
