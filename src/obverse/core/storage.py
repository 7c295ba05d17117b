"""Files that are either whole or absent: written beside their place, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from obverse.core.errors import ObverseError


def cache_dir() -> Path:
    """Return the folder for converted models, statistics and contexts.

    ``OBVERSE_CACHE`` if set, else ``obverse`` under ``XDG_CACHE_HOME`` or ``~/.cache``.
    """
    if chosen := os.environ.get("OBVERSE_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "obverse"


_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
)  # fmt: skip


@contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Turn a full disk or a folder that cannot be written into an `ObverseError` that says so."""
    try:
        yield
    except Exception as error:
        code = _os_error(error)
        if code in _FULL:
            raise ObverseError(
                f"No space left to write {path}.", "Free some space or choose another folder."
            ) from error
        if code in _REFUSED:
            raise ObverseError(
                f"{path} cannot be written: {os.strerror(code)}.",
                "Choose a folder you may write to; for the cache, set OBVERSE_CACHE.",
            ) from error
        raise


def _os_error(error: Exception) -> int:
    if isinstance(error, OSError):
        return error.errno or 0
    found = re.search(r"\(os error (\d+)\)", str(error))  # so do the Rust libraries, e.g. safetensors, put it
    return int(found[1]) if found else 0


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Generator[Path]:
    """Give a new folder to fill; it takes the place of ``path`` only if the block ends without an error.

    Args:
        path: Where the folder will stand.
        replace: Remove an older folder of that name at the end.

    Raises:
        ObverseError: If ``path`` exists and ``replace`` is false, is a file, or cannot be written.
    """
    if path.is_file():
        raise ObverseError(f"{path} is a file, where a folder is to stand.", "Choose another folder.")
    if path.exists() and not replace:
        raise ObverseError(f"{path} exists already.", "Choose another folder, or say that it may be replaced.")
    draft = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
    with storage_errors(path):
        try:
            draft.mkdir(parents=True)
            yield draft
            _put_in_place(draft, path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, path: Path) -> None:
    if not path.exists():
        draft.rename(path)
        return
    old = draft.with_suffix(".old")
    path.rename(old)
    try:
        draft.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it to ``path``."""
    draft = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    """Write a text, in UTF-8, as a whole file and return where."""
    write_whole(path, lambda part: part.write_text(text, "utf-8"))
    return path


def file_hash(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
