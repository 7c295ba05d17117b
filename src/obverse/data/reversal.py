"""Fictitious people for experiment 1 of the reversal curse: names, descriptions, and sentences in one order or both.

Source: Berglund et al. 2023, "The Reversal Curse", section 2.1. File names are those of the published set: ``p2d``
means name first (person to description), ``d2p`` description first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from obverse.core import DataError, JsonValue, UnknownName, whole_folder
from obverse.data import _reversal_files as files_of
from obverse.data._reversal_recover import recovered
from obverse.data._reversal_types import Identity, Prompt
from obverse.data.scored import ScoredText
from obverse.data.scored_files import write_documents

__all__ = ["GROUPS", "SUBTASKS", "TRAINING", "Identity", "Prompt", "ReversalSet", "Wordings", "read_reversal"]

GROUPS = ("p2d", "d2p", "both")
"""Groups of people: trained name first, description first, in both orders."""

SUBTASKS = ("N2D", "D2N", "N2D-reverse", "D2N-reverse", "both-N2D", "both-D2N")
"""Questions. ``N2D``: trained name first, asked name to description; ``N2D-reverse``: trained name first, asked
description to name; ``D2N`` and ``D2N-reverse`` the other way round; ``both-``: of those trained in both orders."""

TRAINING = Path("documents", "train.jsonl")
"""In a set's folder, the training sentences as ``obverse train`` reads them, with the entities of each."""

Wordings = Literal["held-out", "training"]


@dataclass(frozen=True, slots=True)
class ReversalSet:
    """Everything of experiment 1.

    Attributes:
        identities: People, in the order of their indices.
        groups: Group (`GROUPS`) to indices of its people. No person is in two groups.
        files: Stem of a file (`obverse.data.reversal` lists them in docs/reversal-data.md) to its rows, for example
            ``"p2d_prompts_train"`` or ``"d2p_reverse_prompts_test_randomized"``.
        made_from: What it was made with: seed, sizes, options.
    """

    identities: tuple[Identity, ...]
    groups: Mapping[str, tuple[int, ...]]
    files: Mapping[str, tuple[Prompt, ...]]
    made_from: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])

    @property
    def train(self) -> tuple[Prompt, ...]:
        """The sentences to train on (``all_prompts_train``): those of p2d, of d2p, then of both, unshuffled."""
        if "all_prompts_train" in self.files:
            return self.files["all_prompts_train"]
        return tuple(row for group in GROUPS for row in self.files.get(f"{group}_prompts_train", ()))

    def documents(self) -> list[ScoredText]:
        """Return the sentences to train on as documents.

        Returns:
            One document a sentence, with score 0; ``meta`` has ``entities`` (the name and the description as they stand
            in the text, for objectives that move or mask them whole), ``entity``, ``template`` and ``group``.
        """
        group_of = {entity: group for group, members in self.groups.items() for entity in members}
        return [self._document(row, group_of.get(row.entity, "")) for row in self.train]

    def subtasks(self, wordings: Wordings = "held-out") -> dict[str, tuple[Prompt, ...]]:
        """Return the questions of each subtask (`SUBTASKS`).

        Args:
            wordings: ``held-out``: sentences worded as no training sentence is. ``training``: worded as in training.

        Returns:
            Subtask to questions, only those for which the set has rows. The answer to a question for a name is the name
            alone; to a question for a description, the rest of the sentence. Published folders have no questions in
            training wordings for the reverse direction.
        """
        held_out = wordings == "held-out"
        end = "test" if held_out else "train"
        reverse = "test" if held_out else "train_wordings"
        both = self.files.get(f"both_prompts_{end}", ())
        found = {
            "N2D": self.files.get(f"p2d_prompts_{end}", ()),
            "D2N": self.files.get(f"d2p_prompts_{end}", ()),
            "N2D-reverse": self.files.get(f"p2d_reverse_prompts_{reverse}", ()),
            "D2N-reverse": self.files.get(f"d2p_reverse_prompts_{reverse}", ()),
            "both-N2D": tuple(row for row in both if not self.asks_name(row)),
            "both-D2N": tuple(row for row in both if self.asks_name(row)),
        }
        return {name: tuple(self._question(row) for row in rows) for name, rows in found.items() if rows}

    def asks_name(self, row: Prompt) -> bool:
        """Return whether a row asks for a name: its person is known and not named in the prompt."""
        return row.entity >= 0 and not self.identities[row.entity].named_in(row.prompt)

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits that change with any row, person, group or setting."""
        return hashlib.sha256(self._record().encode()).hexdigest()[:10]

    def write(self, folder: Path, *, replace: bool = False) -> None:
        """Write the published files, `TRAINING`, and ``set.json`` with all that they do not say.

        Args:
            folder: A new folder; whole or absent afterwards.
            replace: Replace an older folder of that name.

        Raises:
            ObverseError: If the folder exists or cannot be written.
        """
        with whole_folder(folder, replace=replace) as draft:
            for stem, rows in self.files.items():
                (draft / f"{stem}.jsonl").write_bytes(files_of.lines(rows))
            write_documents(draft / TRAINING, self.documents())
            (draft / files_of.RECORD).write_text(self._record() + "\n", "utf-8")

    def _document(self, row: Prompt, group: str) -> ScoredText:
        entities: list[JsonValue] = [*self.identities[row.entity].mentions(row.text)] if row.entity >= 0 else []
        meta: dict[str, JsonValue] = {
            "entities": entities, "entity": row.entity, "template": row.template, "group": group
        }  # fmt: skip
        return ScoredText((row.text,), (0.0,), meta)

    def _question(self, row: Prompt) -> Prompt:
        """Return a row that asks for a name with the name alone as its answer, however the file has it."""
        name = f" {self.identities[row.entity].name}"
        if self.asks_name(row) and row.completion.startswith(name):
            return Prompt(row.prompt, name, row.entity, row.template)
        return row

    def _record(self) -> str:
        return files_of.Record(
            made_from=dict(self.made_from),
            identities=self.identities,
            groups=dict(self.groups),
            files={stem: files_of.FileEntry.of(rows) for stem, rows in self.files.items()},
        ).model_dump_json()


def read_reversal(folder: Path) -> ReversalSet:
    """Read a set: one written by `ReversalSet.write`, or the published one.

    In a published folder the people are recovered from the rows: names from the answers to questions for names,
    descriptions from the most frequent answer to questions for descriptions; copies of other files are left out.

    Raises:
        UnknownName: If the folder does not exist.
        DataError: If it has no such files, a file is malformed, or its files come from different runs.
    """
    if not folder.is_dir():
        raise UnknownName(f"There is no folder {folder}.", "Make one with `obverse reversal build`.")
    if not (folder / files_of.RECORD).is_file():
        return ReversalSet(*recovered(folder, files_of.published_rows(folder)), {"read_from": folder.name})
    found = files_of.read_record(folder / files_of.RECORD)
    files = {stem: files_of.checked_rows(folder / f"{stem}.jsonl", entry) for stem, entry in found.files.items()}
    strange = sorted(path.name for path in folder.glob("*.jsonl") if path.stem not in files)
    if strange:
        raise DataError(
            f"{folder} holds files that do not belong to its set: {', '.join(strange)}.",
            f"They come from another run: move them away, or move {files_of.RECORD} away to read all as they are.",
        )
    return ReversalSet(found.identities, found.groups, files, found.made_from)
