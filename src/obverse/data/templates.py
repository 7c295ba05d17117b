"""How a user's relations are worded: a YAML file of templates."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import AfterValidator, Field

from obverse.core import Config, ConfigError, DataError, UnknownName, build

EXAMPLE = """- name: capital
  prompt: "The capital of {} is"
  paraphrases: ["Question: What is the capital of {}? Answer:"]
  reverse: ["{} is the capital of"]
  open: ["{} is known for"]"""


def _template(text: str) -> str:
    if (count := text.count("{}")) != 1:
        raise ValueError(f"it has {count} places {{}} for the name, and needs exactly one")
    if text != text.strip():
        raise ValueError("it begins or ends with a space; the answer gets its own")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""A text with one ``{}`` for a name."""

Shared = Literal["shared", "others"]


class Templates(Config):
    """A relation and the wordings of its questions."""

    name: Annotated[str, Field(pattern=r"^[^:\s]([^:]*[^:\s])?$")]
    """Name of the relation, as in the triples; without a colon, which ends it in the ids of cases."""

    prompt: Template
    """Asks for the object; ``{}`` is the subject, and the object follows."""

    paraphrases: tuple[Template, ...] = ()
    """Other ways to ask."""

    reverse: tuple[Template, ...] = ()
    """Ask for the subject; ``{}`` is the object, and the subject follows."""

    open: tuple[Template, ...] = ()
    """Beginnings to continue freely; ``{}`` is the subject."""

    wikidata: str | None = None
    """Wikidata property that means the relation, e.g. P36."""

    neighbours: Shared = "shared"
    """Which facts must not change with one of this relation: ``shared``, those of other subjects with the same object
    (CounterFact); ``others``, those of any other subject, for relations whose objects have one subject each."""


def read_templates(path: Path) -> dict[str, Templates]:
    """Read the relations of a YAML file: a list of them, with the fields of `Templates`.

    Returns:
        Relations by name, in the order of the file.

    Raises:
        UnknownName: If there is no such file.
        DataError: If it is not such a list, a name stands twice, or fields are missing, unknown or malformed; of all
            relations at once.
    """
    if not path.is_file():
        near = get_close_matches(path.name, _beside(path), n=1, cutoff=0.5)
        raise UnknownName(f"There is no file {path}.", f"Did you mean {near[0]}?" if near else "Check the path.")
    try:
        found: object = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        reason = " ".join(str(error).split())
        raise DataError(f"{path.name} is not valid YAML ({reason}).", f"Write for example:\n{EXAMPLE}") from error
    if not isinstance(found, list) or not found:
        raise DataError(f"{path.name} holds no list of relations.", f"Write for example:\n{EXAMPLE}")
    return templates_of(path.name, cast("list[object]", found))


def templates_of(source: str, records: list[object]) -> dict[str, Templates]:
    """Make relations of records with the fields of `Templates`; see `read_templates`.

    Args:
        source: Where they are from, for messages.
        records: One mapping a relation.
    """
    relations: dict[str, Templates] = {}
    mistakes: list[str] = []
    for number, record in enumerate(records, start=1):
        try:
            templates = build(Templates, _fields(record))
        except ConfigError as error:
            place = f"relation {number}{_named(record)}"
            mistakes += [f"{place}: {line.strip()}" for line in error.message.splitlines()[1:]]
            continue
        if templates.name in relations:
            mistakes.append(f"relation {number}: the name {templates.name!r} stands already.")
        relations[templates.name] = templates
    if mistakes:
        fields = ", ".join(Templates.model_fields)
        raise DataError("\n  ".join([f"{source}, relations:", *mistakes]), f"Fields of a relation: {fields}.")
    return relations


def _fields(record: object) -> dict[str, object]:
    if not isinstance(record, dict):
        raise ConfigError(f"1 mistake:\n{record!r} is not a relation with fields.")
    fields = {str(key): value for key, value in cast("dict[object, object]", record).items()}
    for key in ("paraphrases", "reverse", "open"):
        if isinstance(fields.get(key), str):
            fields[key] = [fields[key]]
    return fields


def _named(record: object) -> str:
    name = cast("dict[object, object]", record).get("name") if isinstance(record, dict) else None
    return f" ({name})" if isinstance(name, str) else ""


def _beside(path: Path) -> Iterator[str]:
    return (file.name for file in path.parent.iterdir()) if path.parent.is_dir() else iter(())
