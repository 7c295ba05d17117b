"""Write the data of experiments 1 and 3 of the reversal curse: ``obverse reversal build`` and ``instructions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, ObverseError, build
from obverse.data.instruction_pairs import Order, own_pairs, read_pairs, wordings
from obverse.data.instructions import InstructionSettings, read_instructions
from obverse.data.instructions_build import build_instructions
from obverse.data.reversal import ReversalSet, read_reversal
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import read_material
from obverse.data.reversal_part import part_of, sizes_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a set is written.

    Attributes:
        out: Folder for sets; each stands in a folder of its own there, ``NAME-HASH``.
        name: First part of that folder's name; may be empty.
        replace: Whether an older folder of that name may be replaced.
        dry_run: Whether to stop before anything is written.
    """

    out: Path
    name: str = "reversal"
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name:
            raise ConfigError(
                f"{self.name!r} is no name of a folder.", "Give a name without slashes; --out is the path."
            )

    def folder(self, digest: str) -> Path:
        """Return the folder of a set with a hash."""
        return self.out / "-".join(part for part in (self.name, digest) if part)


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """What is asked of `run_reversal_build`.

    Attributes:
        place: Where the set is written.
        settings: Sizes and choices by name; those not given have their defaults, or with ``source`` are all there is.
        names: List of names; the package's own if None.
        descriptions: List of descriptions; the same.
        name_first: List of templates with the name first; the same.
        description_first: List of templates with the description first; the same.
        source: Folder of a set, published or written before, that is read in place of making one.
    """

    place: Place
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    names: Path | None = None
    descriptions: Path | None = None
    name_first: Path | None = None
    description_first: Path | None = None
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class InstructionRequest:
    """What is asked of `run_instructions_build`.

    Attributes:
        place: Where the set is written.
        settings: Sizes and choices.
        order: What an instruction has first.
        pairs: File of question-answer pairs; the package's own if None.
        wordings: List of wordings; the package's own if None.
        split: Keep examples in the training file in two parts.
    """

    place: Place
    settings: InstructionSettings = field(default_factory=InstructionSettings)
    order: Order = "question-first"
    pairs: Path | None = None
    wordings: Path | None = None
    split: bool = False


@dataclass(frozen=True, slots=True)
class WrittenSet:
    """What was made.

    Attributes:
        folder: Where it stands, or would.
        rows: File to its number of rows.
        made_from: Sizes and choices.
        sample: The first training texts.
        state: ``written``; ``there already``, with the same content; or ``not written`` (a dry run).
    """

    folder: Path
    rows: Mapping[str, int]
    made_from: Mapping[str, Any]
    sample: tuple[str, ...]
    state: str

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "folder": str(self.folder),
            "state": self.state,
            "rows": dict(self.rows),
            "made_from": dict(self.made_from),
            "sample": list(self.sample),
        }


def run_reversal_build(request: ReversalRequest) -> WrittenSet:
    """Make, or read, the data of experiment 1 and write it.

    Raises:
        UnknownName: If a file or folder does not exist.
        ConfigError: If a size is out of range, or lists are given for a set that is read.
        DataError: If a list is malformed or too short, or a held-out template is a training template too.
        ObverseError: If the folder cannot be written.
    """
    made = _read(request, request.source) if request.source else _made(request)
    folder = request.place.folder(made.hash)
    state = _write(request.place, folder, made.hash, lambda: made.write(folder, replace=True), _reversal_hash)
    rows = {stem: len(of) for stem, of in made.files.items()}
    return WrittenSet(folder, rows, made.made_from, tuple(row.text for row in made.train[:3]), state)


def run_instructions_build(request: InstructionRequest) -> WrittenSet:
    """Make the data of experiment 3 and write it.

    Raises:
        UnknownName: If a file does not exist.
        DataError: If a list is malformed or too short.
        ObverseError: If the folder cannot be written.
    """
    pairs = read_pairs(request.pairs) if request.pairs else own_pairs()
    made = build_instructions(pairs, wordings(request.order, request.wordings), request.settings)
    folder = request.place.folder(f"{made.hash}-split" if request.split else made.hash)
    state = _write(
        request.place,
        folder,
        made.hash,
        lambda: made.write(folder, split=request.split, replace=True),
        lambda path: read_instructions(path).hash,
    )
    rows: dict[str, int] = {name: len(of) for name, of in made.files().items()}
    settings = {"order": request.order, "split": request.split, **made.settings.model_dump()}
    return WrittenSet(folder, rows, settings, tuple(row.text for row in made.documents[:1]), state)


def _reversal_hash(folder: Path) -> str:
    return read_reversal(folder).hash


def _made(request: ReversalRequest) -> ReversalSet:
    lists = read_material(request.names, request.descriptions, request.name_first, request.description_first)
    return build_reversal(lists, build(ReversalSettings, request.settings))


def _read(request: ReversalRequest, source: Path) -> ReversalSet:
    """Read a set; a part of it if sizes are given."""
    if request.names or request.descriptions or request.name_first or request.description_first:
        raise ConfigError(
            f"The set is read from {source}, so lists of names, descriptions or templates have no use.",
            "Leave out either --from or the lists.",
        )
    if "name_targets" in request.settings:
        raise ConfigError(
            f"The set is read from {source}, so its answers are what they are.", "Leave out --from or --name-targets."
        )
    whole = read_reversal(source)
    if not request.settings:
        return whole
    return part_of(whole, build(ReversalSettings, sizes_of(whole), request.settings))


def _write(place: Place, folder: Path, digest: str, write: Callable[[], None], hash_of: Callable[[Path], str]) -> str:
    """Write a set, unless it is there already; its name has its hash, so nothing else can be of that name."""
    if place.dry_run:
        return "not written"
    if folder.exists() and not place.replace:
        try:
            same = hash_of(folder) == digest
        except ObverseError:
            same = False
        if same:
            return "there already"
        raise ObverseError(
            f"{folder} exists already, and its content is not what its name says.",
            "Choose another folder with --out, or pass --overwrite.",
        )
    if folder.exists() and not (folder / "set.json").is_file():
        raise ObverseError(f"{folder} is no set of obverse's (it has no set.json), and is not replaced.",
                           "Choose another folder with --out, or remove it yourself.")  # fmt: skip
    write()
    return "written"
