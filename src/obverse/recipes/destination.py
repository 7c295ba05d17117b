"""Whether a result may be written to the place chosen for it; asked before any long work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from obverse.core import ObverseError
from obverse.core.plotting import drawing

EDITS = ("edit.json", "obverse.json")
"""Files by which a folder is known as an edit or a merged checkpoint."""


def check_folder(out: Path, *, overwrite: bool, ours: Sequence[str]) -> None:
    """Refuse a folder that may not be written.

    Args:
        out: The folder.
        overwrite: Whether an older one may be replaced.
        ours: Files by which an older one is known as obverse's, names or patterns; any of them will do.

    Raises:
        ObverseError: If a file is in the way, nothing may be written there, or the folder exists and may not be
            replaced or is not obverse's.
    """
    _check_way(out.absolute(), "folder")
    if not out.exists() or (overwrite and not any(out.iterdir())):
        return
    if not overwrite:
        raise _exists(out, "folder")
    if not any(found.is_file() for name in ours for found in out.glob(name)):
        raise ObverseError(
            f"{out} is no folder of obverse's (it has no {' or '.join(ours)}), and is not replaced.",
            "Choose another folder with --out, or remove it yourself.",
        )


def check_file(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that may not be written.

    Args:
        out: The file.
        overwrite: Whether an older one may be replaced.

    Raises:
        ObverseError: If a folder stands there, a file is in the way, nothing may be written there, or the file exists
            and may not be replaced.
    """
    if out.is_dir():
        raise ObverseError(f"{out} is a folder, where a file is to stand.", "Choose another file with --out.")
    _check_way(out.absolute().parent, "file")
    if out.exists() and not overwrite:
        raise _exists(out, "file")


def check_figure(figure: Path) -> None:
    """Refuse a figure that cannot be drawn or written; an older one is replaced.

    Raises:
        ConfigError: If the ending names no format of figures.
        ObverseError: If matplotlib is not installed, or as for `check_file`.
    """
    with drawing(figure):
        check_file(figure, overwrite=True)


def _check_way(folder: Path, kind: Literal["file", "folder"]) -> None:
    """Refuse a folder that is none, and one in which nothing can be made."""
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    hint = f"Choose another {kind} with --out."
    if not existing.is_dir():
        raise ObverseError(f"{existing} is a file, where a folder is to stand.", hint)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ObverseError(f"{existing} cannot be written: permission denied.", hint)


def _exists(out: Path, kind: Literal["file", "folder"]) -> ObverseError:
    return ObverseError(f"{out} exists already.", f"Choose another {kind} with --out, or pass --overwrite.")
