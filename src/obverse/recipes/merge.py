"""Merge saved edits into a checkpoint of their base, and take them out again.

A merged checkpoint is a normal Hugging Face folder with two things more:

    obverse.json      the base (name, fingerprint, dtype, hash of its weights) and the edits merged, in order
    edits/NN-slug/    a copy of each edit

Undoing builds the checkpoint anew from the base and the remaining edits; nothing is subtracted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import DataError, EditMismatch, ObverseError, whole_folder
from obverse.editing import Edit
from obverse.model.fingerprint import Fingerprint, files_hash, memory_hash, weight_files
from obverse.recipes.apply import load_edits
from obverse.recipes.destination import EDITS, check_folder
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record, slug, write_json
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

FORMAT = 1
"""Version of ``obverse.json``; a reader refuses a newer one."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A checkpoint that was written.

    Attributes:
        folder: Where.
        model: Name of the base.
        facts: The facts in it, in order, each as ``prompt → target``.
        removed: The facts taken out by an undo.
        weights: SHA-256 of its weights.
        is_base: Whether its weights are, bit for bit, those of the base.
    """

    folder: Path
    model: str
    facts: tuple[str, ...]
    removed: tuple[str, ...]
    weights: str
    is_base: bool

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def run_merge(
    folders: Sequence[Path], out: Path, model: ModelChoice | None = None, *, replace_older: bool = False
) -> MergeResult:
    """Write a checkpoint of the base with the edits in its weights.

    Args:
        folders: Folders of edits, in the order in which they are stacked.
        out: Where the checkpoint goes.
        model: The base; by default the one the first edit names, in the dtype it is stored in.
        replace_older: Whether an older checkpoint there may be replaced.

    Raises:
        EditMismatch: If an edit was made for another model, or was altered.
    """
    check_folder(out, overwrite=replace_older, ours=EDITS)
    edits = load_edits(folders)
    lm = _load(model or ModelChoice(), edits[0].base_name)
    for edit in edits:
        edit.check(lm)
    base = _base_record(lm)
    return _build(lm, list(folders), edits, base, out, replace_older, removed=())


def run_undo(
    checkpoint: Path, last: int | None = None, *, everything: bool = False, model: ModelChoice | None = None
) -> MergeResult:
    """Take the last edits out of a merged checkpoint.

    Args:
        checkpoint: The folder that `run_merge` wrote.
        last: How many edits to take out, 1 by default.
        everything: Whether to take out all.
        model: Where the base is now; by default where it was.

    Raises:
        DataError: If the folder is no merged checkpoint, or has no edit left.
        EditMismatch: If the base or the checkpoint is not what was recorded; both hashes are named.
    """
    record = read_merge(checkpoint)
    folders = [checkpoint / "edits" / entry["folder"] for entry in record["edits"]]
    count = _how_many(checkpoint, len(folders), last, everything)
    _refuse_altered(checkpoint, record["weights"])
    kept = folders[: len(folders) - count]
    edits, removed = [Edit.load(folder) for folder in kept], [Edit.load(folder) for folder in folders[len(kept) :]]
    base = record["base"]
    choice = model or ModelChoice()
    lm = _load(
        replace(choice, dtype=choice.dtype or base["dtype"], revision=choice.revision or base["revision"]), base["name"]
    )
    _refuse_other_base(lm, base)
    return _build(lm, kept, edits, base, checkpoint, replace_older=True, removed=removed)


def read_merge(checkpoint: Path) -> dict[str, Any]:
    """Return what ``obverse.json`` of a merged checkpoint holds.

    Raises:
        DataError: If the folder is no merged checkpoint, or of a newer format.
    """
    path = checkpoint / "obverse.json"
    if not path.is_file():
        if (checkpoint / "edit.json").is_file():
            raise DataError(
                f"{checkpoint} is an edit, not a merged checkpoint: its base model was never changed.",
                "Leave the edit out where you apply it, or remove the folder; there is nothing to undo.",
            )
        raise DataError(
            f"{checkpoint} is no merged checkpoint: it has no obverse.json.",
            "Name a folder that 'obverse merge' wrote.",
        )
    try:
        record = json.loads(path.read_text("utf-8"))
        version = record["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Merge the edits again.") from error
    if version > FORMAT:
        raise DataError(f"{path} has format {version}; this version reads up to {FORMAT}.", "Upgrade obverse.")
    return record


def _load(choice: ModelChoice, made_for: str) -> LanguageModel:
    with Steps().step("Loading the base model", shown=True):
        # As it is stored: a checkpoint in another dtype would be another model even with no edit in it.
        return load_model(replace(choice, dtype=choice.dtype or "auto"), made_for)


def _base_record(lm: LanguageModel) -> dict[str, Any]:
    return {
        "name": lm.name,
        "revision": lm.revision,
        "fingerprint": lm.fingerprint.to_json(),
        "dtype": str(lm.dtype).removeprefix("torch."),
        "weights": memory_hash(lm.model),
    }


def _build(
    lm: LanguageModel,
    folders: Sequence[Path],
    edits: Sequence[Edit],
    base: dict[str, Any],
    out: Path,
    replace_older: bool,
    removed: Sequence[Edit],
) -> MergeResult:
    from obverse.model._quiet import quiet

    start, source = now(), lm.folder
    record = run_record("merge", {"edits": [str(folder) for folder in folders]}, lm, None, start)
    for number, edit in enumerate(edits):
        if number:
            edit = replace(edit, base=lm.fingerprint)  # checked against the base above; now upon its predecessors
        edit.merge(lm)
    weights = memory_hash(lm.model)
    with whole_folder(out, replace=replace_older) as draft, Steps().step("Writing the checkpoint", shown=True), quiet():
        lm.model.save_pretrained(draft)
        lm.tokenizer.save_pretrained(draft)
        _copy_texts(source, draft)
        entries = [
            _copy_edit(number, folder, edit, draft)
            for number, (folder, edit) in enumerate(zip(folders, edits, strict=True), 1)
        ]
        write_json(
            draft / "obverse.json",
            {"format_version": FORMAT, "base": base, "edits": entries, "weights": weights, "run": record},
        )
    return MergeResult(out, base["name"], _facts(edits), _facts(removed), weights, is_base=weights == base["weights"])


def _copy_edit(number: int, folder: Path, edit: Edit, draft: Path) -> dict[str, Any]:
    first = edit.facts[0]
    name = f"{number:02}-{slug(f'{first.subject} {first.target}')}"
    shutil.copytree(folder, draft / "edits" / name)
    return {"folder": name, "method": edit.method, "facts": [asdict(fact) for fact in edit.facts]}


def _copy_texts(source: Path | None, draft: Path) -> None:
    """Let terms, notices and licences of the base travel with its weights."""
    for pattern in ("*TERMS*", "NOTICE*", "LICENSE*", "USE_POLICY*"):
        for file in source.glob(pattern) if source else ():
            if file.is_file():
                shutil.copyfile(file, draft / file.name)


def _facts(edits: Sequence[Edit]) -> tuple[str, ...]:
    return tuple(f"{fact.text} → {fact.target}" for edit in edits for fact in edit.facts)


def _how_many(checkpoint: Path, there: int, last: int | None, everything: bool) -> int:
    if everything and last is not None:
        raise ObverseError("Both --last and --all are given.", "Give one of them.")
    if not there:
        raise DataError(f"{checkpoint} has no edit left to undo.", "Its weights are those of the base model.")
    count = there if everything else (last if last is not None else 1)
    if not 1 <= count <= there:
        raise ObverseError(
            f"--last {count} is asked, but {checkpoint} has {there} edit{'s' * (there != 1)}.",
            f"Give a number up to {there}, or --all.",
        )
    return count


def _refuse_altered(checkpoint: Path, expected: str) -> None:
    found = files_hash(weight_files(checkpoint))
    if found != expected:
        raise EditMismatch(
            f"The weights of {checkpoint} were altered since they were merged: their SHA-256 is {found}, "
            f"{expected} was recorded.",
            "Undoing builds the checkpoint anew and would lose that change. Merge the edits into a new folder.",
        )


def _refuse_other_base(lm: LanguageModel, base: dict[str, Any]) -> None:
    expected = Fingerprint.from_json(base["fingerprint"])
    found = memory_hash(lm.model)
    if lm.fingerprint != expected or found != base["weights"]:
        raise EditMismatch(
            f"The base {lm.name} is not the one that was merged: it is {lm.fingerprint} with weights {found}; "
            f"{expected} with weights {base['weights']} was recorded.",
            "Say with --model where the base model is now.",
        )
