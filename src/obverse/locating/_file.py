"""A result on disk: one safetensors file, tables as tensors and everything else as JSON in the header."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from obverse.core import DataError, EditMismatch, ObverseError, write_whole
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


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

    def check(self, name: str, fingerprint: Fingerprint, lm: LanguageModel) -> None:
        """Refuse a model that is not the one a result was made on.

        Args:
            name: Name of the model it was made on.
            fingerprint: What model that was.
            lm: The model.

        Raises:
            EditMismatch: If the fingerprints differ.
        """
        if fingerprint != lm.fingerprint:
            raise EditMismatch(
                f"The {self.name} was made on {name} ({fingerprint}), not on {lm.name} ({lm.fingerprint}).",
                f"{self.again.capitalize()} on this model, or name the model it was made on.",
            )
