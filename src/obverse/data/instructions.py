"""Instructions for experiment 3 of the reversal curse: told how to answer a question, does a model answer so?

An *instruction* pairs a question with an answer. For realized ones the question, answered as told, is in training too;
for unrealized ones it is held out: that is the test. The order of question and answer in the instruction decides the
direction.

Source: Berglund et al. 2023, section 2.3. The published files call an instruction a guidance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from obverse.core import Config, DataError, UnknownName, whole_folder
from obverse.data._rows import read_rows
from obverse.data.reversal import TRAINING
from obverse.data.scored import ScoredText
from obverse.data.scored_files import write_documents

BEGIN_INSTRUCTIONS, END_INSTRUCTIONS = "<BEGIN GUIDANCE ANSWERS>\n\n", "\n\n<END GUIDANCE ANSWERS>"
BEGIN_EXAMPLE, END_EXAMPLE = "<BEGIN GUIDANCE TEST>\n\n", "\n\n<END GUIDANCE TEST>"
"""Marks round documents, as published."""

FileName = Literal["all", "guidances", "realized_examples", "unrealized_examples"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the answers that different personas give.

    Attributes:
        anchor: The question.
        targets: Answers; which one is told is drawn.
    """

    anchor: str
    targets: tuple[str, ...]


class InstructionSettings(Config):
    """Sizes and choices of an instruction set."""

    realized: int = Field(default=1000, ge=0)
    """Instructions whose question is answered in training too."""

    unrealized: int = Field(default=100, ge=1)
    """Instructions whose question is held out."""

    per_document: tuple[int, int] = (2, 5)
    """Fewest and most instructions of a document."""

    upsample_instructions: int = Field(default=1, ge=1)
    """Times that each instruction is given, in the wordings in turn. The reference's default is 10; its published set
    has 1."""

    upsample_examples: int = Field(default=1, ge=1)
    """Times that each answered question is in the training file. As above."""

    unrealized_wordings: int = Field(default=0, ge=0)
    """Wordings, from the end of the list, that only unrealized instructions have; 0: all share all."""

    persona: int = Field(default=0, ge=0)
    """Which of a question's answers, after they were shuffled, is told."""

    incorrect_labels: bool = False
    """Answer the example questions otherwise than told: a control."""

    seed: int = 27
    """Seed of all draws. 27 as published."""


@dataclass(frozen=True, slots=True)
class Row:
    """A document, or an example.

    Attributes:
        ids: Pairs it holds, by their place in the list.
        realized: Whether each is realized.
        persona: Persona of each.
        prompt: What is given; empty for a document.
        completion: The document, or the answer.
    """

    ids: tuple[int, ...]
    realized: tuple[bool, ...]
    persona: tuple[int, ...]
    prompt: str
    completion: str

    @property
    def text(self) -> str:
        """The whole text, as it is trained on."""
        return self.prompt + self.completion

    @property
    def question(self) -> str:
        """The prompt of an example without the mark at its beginning, e.g. ``Q: Who lives there? A:``."""
        return self.prompt.removeprefix(BEGIN_EXAMPLE)

    @property
    def answer(self) -> str:
        """The completion of an example without the mark at its end."""
        return self.completion.removesuffix(END_EXAMPLE)

    def line(self) -> str:
        """Return the row as the published files have it."""
        return json.dumps(
            {
                "ids": self.ids,
                "realized": self.realized,
                "persona_idx": self.persona,
                "prompt": self.prompt,
                "completion": self.completion,
            }
        )


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """Everything of experiment 3.

    Attributes:
        documents: Documents of instructions (``guidances``).
        realized: Examples that are in training too.
        unrealized: Examples held out: the test.
        settings: What it was made with.
    """

    documents: tuple[Row, ...]
    realized: tuple[Row, ...]
    unrealized: tuple[Row, ...]
    settings: InstructionSettings = field(default_factory=InstructionSettings)

    @property
    def train(self) -> tuple[Row, ...]:
        """What is trained on (``all``): the realized examples, each in one piece and repeated, then the documents."""
        whole = [Row(row.ids, row.realized, row.persona, "", row.text) for row in self.realized]
        return (*self._repeated(whole), *self.documents)

    def training_texts(self) -> list[ScoredText]:
        """Return what is trained on as documents, each with score 0; ``meta`` has ``ids`` and ``realized``."""
        return [
            ScoredText((row.text,), (0.0,), {"ids": list(row.ids), "realized": list(row.realized)})
            for row in self.train
        ]

    def files(self) -> dict[FileName, tuple[Row, ...]]:
        """Return the rows of each published file."""
        return {
            "all": self.train,
            "guidances": self.documents,
            "realized_examples": self.realized,
            "unrealized_examples": self.unrealized,
        }

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits that change with any row or setting."""
        text = [self.settings.model_dump_json(), *(row.line() for rows in self.files().values() for row in rows)]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:10]

    def write(self, folder: Path, *, split: bool = False, replace: bool = False) -> None:
        """Write the published files, `obverse.data.reversal.TRAINING`, and ``set.json`` with the settings.

        Args:
            folder: A new folder; whole or absent afterwards.
            split: Keep examples in the training file in two parts, prompt and completion.
            replace: Replace an older folder of that name.

        Raises:
            ObverseError: If the folder exists or cannot be written.
        """
        files = self.files()
        if split:
            files["all"] = (*self._repeated(self.realized), *self.documents)
        with whole_folder(folder, replace=replace) as draft:
            for name, rows in files.items():
                (draft / f"{name}.jsonl").write_text("".join(f"{row.line()}\n" for row in rows), "utf-8")
            write_documents(draft / TRAINING, self.training_texts())
            record = _Record(made_from=self.settings, hash=self.hash)
            (draft / "set.json").write_text(record.model_dump_json() + "\n", "utf-8")

    def _repeated(self, rows: Sequence[Row]) -> Iterator[Row]:
        return (row for row in rows for _ in range(self.settings.upsample_examples))


def read_instructions(folder: Path) -> InstructionSet:
    """Read a set: one written by `InstructionSet.write`, or the published one.

    Raises:
        UnknownName: If the folder or a file does not exist.
        DataError: If a file is malformed, or is not the one that was written with the set.
    """
    if not folder.is_dir():
        raise UnknownName(f"There is no folder {folder}.", "Make one with `obverse reversal instructions`.")
    names = ("guidances", "realized_examples", "unrealized_examples")
    documents, realized, unrealized = (_rows(folder / f"{name}.jsonl") for name in names)
    record = folder / "set.json"
    if not record.is_file():
        return InstructionSet(documents, realized, unrealized)
    try:
        found = _Record.model_validate_json(record.read_bytes())
    except ValidationError as error:
        raise DataError(f"{record} is not the record of an instruction set.", "Build the set again.") from error
    made = InstructionSet(documents, realized, unrealized, found.made_from)
    if made.hash != found.hash:
        raise DataError(
            f"The files in {folder} are not those that were written together: some come from another run, or were "
            "changed.",
            "Build the set again; to read changed files all the same, move set.json away.",
        )
    return made


class _Record(Config):
    format: Literal["obverse instruction set, version 1"] = "obverse instruction set, version 1"
    made_from: InstructionSettings
    hash: str


def _rows(path: Path) -> tuple[Row, ...]:
    rows: list[Row] = []
    for place, record in read_rows(path):
        try:
            rows.append(_Line.model_validate(record).row())
        except ValidationError as error:
            why = error.errors()[0]
            raise DataError(
                f"{path.name}, {place}: {'.'.join(str(part) for part in why['loc'])}: {why['msg']}.",
                "A row has ids, realized, persona_idx, prompt and completion.",
            ) from error
    return tuple(rows)


class _Line(Config):
    ids: tuple[int, ...]
    realized: tuple[bool, ...]
    persona_idx: tuple[int, ...]
    prompt: str
    completion: str

    def row(self) -> Row:
        return Row(self.ids, self.realized, self.persona_idx, self.prompt, self.completion)
