"""What a folder of obverse's contains, without loading a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.core import DataError
from obverse.editing.storage import read_record
from obverse.recipes.merge import read_merge


@dataclass(frozen=True, slots=True)
class Shown:
    """A folder's content.

    Attributes:
        folder: The folder.
        kind: ``edit`` or ``checkpoint``.
        record: What its ``edit.json`` or ``obverse.json`` holds.
    """

    folder: Path
    kind: str
    record: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"folder": str(self.folder), "kind": self.kind, **self.record}


def run_show(folder: Path) -> Shown:
    """Read what a folder contains; the files of an edit are compared with the hashes it was saved with.

    Raises:
        DataError: If the folder is neither an edit nor a merged checkpoint.
        EditMismatch: If a file of an edit was altered.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", "Name a folder that 'obverse edit' or 'obverse merge' wrote.")
    if (folder / "obverse.json").is_file():
        return Shown(folder, "checkpoint", read_merge(folder))
    record = read_record(folder)
    from obverse.editing import Edit

    Edit.load(folder)  # refuses altered files
    return Shown(folder, "edit", record)
