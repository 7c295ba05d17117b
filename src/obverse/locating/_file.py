"""A result on disk: one safetensors file, tables as tensors and everything else as JSON in the header."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from obverse.core import DataError, EditMismatch, ObverseError, write_whole
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


Result = TypeVar("Result", bound="Saved")


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of result.

    Attributes:
        name: In one word, e.g. ``trace``; the header's entries are named after it.
        article: ``a`` or ``an``.
        again: What to do to get a new one, e.g. ``trace anew``.
        format: Version of the file; a reader refuses another one.
    """

    name: str
    article: str
    again: str
    format: int

    def write(self, path: str | Path, record: Mapping[str, Any], tables: Mapping[str, Tensor]) -> Path:
        """Write a result whole; float32.

        Raises:
            ObverseError: If it cannot be written.
        """
        path = Path(path)
        header = {f"obverse_{self.name}": str(self.format), self.name: json.dumps(record, ensure_ascii=False)}
        plain = {name: table.contiguous().float().cpu() for name, table in tables.items()}
        write_whole(path, lambda part: save_file(plain, part, header))
        return path

    @contextmanager
    def read(self, path: str | Path) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
        """Give the record and the tables of a file; what fails on them inside is a damaged file.

        Raises:
            DataError: If the file is missing, of another kind, of another format, or damaged.
        """
        hint = f"Name a file that was saved as {self.article} {self.name}."
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tables = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except FileNotFoundError as error:
            raise DataError(f"There is no file {path}.", hint) from error
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path} cannot be read as {self.article} {self.name}: {error}", hint) from error
        version = header.get(f"obverse_{self.name}")
        if version is None:
            raise DataError(f"{path} is a safetensors file but no {self.name}.", hint)
        if version != str(self.format):
            raise DataError(
                f"{path} is {self.article} {self.name} of format {version}; this version reads format {self.format}.",
                f"Upgrade obverse, or {self.again}.",
            )
        try:
            yield json.loads(header[self.name]), tables
        except (KeyError, TypeError, ValueError, ObverseError) as error:
            raise DataError(
                f"{path} is a damaged {self.name}: {error}", f"{self.again.capitalize()}, or restore the file."
            ) from error


class Saved:
    """Base of results that are one file; they say what their tables are and how they are made of them again."""

    __slots__ = ()
    FILE: ClassVar[FileKind]
    model: str
    fingerprint: Fingerprint

    def to_json(self, *, tables: bool = True) -> dict[str, Any]:
        """Return everything as JSON values; the tables too unless told otherwise."""
        raise NotImplementedError

    def tables(self) -> dict[str, Tensor]:
        """Return the tables by name."""
        raise NotImplementedError

    @classmethod
    def from_tables(cls: type[Result], record: dict[str, Any], tables: Mapping[str, Tensor]) -> Result:
        """Make it of what `to_json` and `tables` gave."""
        raise NotImplementedError

    def check(self, lm: LanguageModel) -> None:
        """Refuse a model that is not the one the result was made on.

        Raises:
            EditMismatch: If the fingerprints differ.
        """
        if self.fingerprint != lm.fingerprint:
            raise EditMismatch(
                f"The {self.FILE.name} was made on {self.model} ({self.fingerprint}), not on {lm.name} "
                f"({lm.fingerprint}).",
                f"{self.FILE.again.capitalize()} on this model, or name the model it was made on.",
            )

    def save(self, path: str | Path) -> Path:
        """Write the result as one safetensors file: the tables, and everything else in the header.

        Raises:
            ObverseError: If it cannot be written.
        """
        return self.FILE.write(path, self.to_json(tables=False), self.tables())

    @classmethod
    def load(cls: type[Result], path: str | Path, lm: LanguageModel | None = None) -> Result:
        """Read a result.

        Args:
            path: The file.
            lm: The model it is to be of; not checked if None.

        Raises:
            DataError: If the file is missing, no such result, or of another format.
            EditMismatch: If it was made on another model.
        """
        with cls.FILE.read(path) as (record, tables):
            made = cls.from_tables(record, tables)
        if lm is not None:
            made.check(lm)
        return made
