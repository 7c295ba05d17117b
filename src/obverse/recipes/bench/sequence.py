"""Facts written one upon the other: every earlier one is asked again as they become more, and a stop loses one step.

The state of a sequence is on disk after every step: the edits so far as one stacked edit, and the records of the points
that were measured.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Case, ObverseError, Progress, write_whole
from obverse.editing.edit import Delta, Dense, Edit, LowRank
from obverse.recipes.bench.edits import edit_together
from obverse.recipes.plan import Editor

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Record = dict[str, Any]


def points(total: int, step: int = 1) -> list[int]:
    """Return after how many facts all earlier ones are asked again: 1, 2, 5, 10, 20, 50 ... and the last.

    Args:
        total: Facts in the sequence.
        step: Facts written at a time; points are multiples of it.
    """
    wanted = [lead * 10**power for power in range(len(str(total))) for lead in (1, 2, 5)]
    found = {min(total, -(-point // step) * step) for point in wanted if point <= total}
    return sorted(found | {total})


def run_sequence(
    lm: LanguageModel,
    editor: Editor,
    cases: Sequence[Case],
    step: int,
    folder: Path,
    score: Callable[[Sequence[Case], Edit], list[Record]],
) -> list[Record]:
    """Edit cases one upon the other and score the earlier ones at each point; a stopped sequence is gone on with.

    Args:
        lm: The model; untouched.
        editor: The method.
        cases: The cases, in order.
        step: Cases written at a time.
        folder: Where the state is kept.
        score: Returns the records of cases under an edit.

    Returns:
        A record for each point and earlier case. A step that failed adds nothing to the edit; its cases are asked all
        the same, and tell the error.
    """
    state = _State(folder)
    wanted = points(len(cases), step)
    with Progress("editing one upon the other", len(cases)) as progress:
        progress.advance(state.done)
        for start in range(state.done, len(cases), step):
            chunk = cases[start : start + step]
            began = time.perf_counter()
            with state.edit.applied(lm) if state.edit else nullcontext():
                try:
                    made = edit_together(editor, lm, chunk, [state.edit] if state.edit else [])
                except ObverseError as error:
                    made = error
            spent = (time.perf_counter() - began) / len(chunk)
            state.add(made, [case.id for case in chunk], spent)
            progress.advance(len(chunk))
            if state.done in wanted:
                state.score(cases[: state.done], score)
            state.save()
    return state.records


class _State:
    """How far a sequence is.

    Args:
        folder: Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.edit: Edit | None = None
        self.done = 0
        self.records: list[Record] = []
        self._failed: dict[str, Record] = {}
        self._seconds: dict[str, float] = {}
        if (path := folder / "state.json").is_file():
            found = json.loads(path.read_text("utf-8"))
            self.done, self.records = found["done"], found["records"]
            self._failed, self._seconds = found["failed"], found["seconds"]
            self.edit = _compact(Edit.load(folder / found["edit"])) if found["edit"] else None

    def add(self, made: Edit | ObverseError, ids: Sequence[str], seconds: float) -> None:
        """Take in what came of a step."""
        if isinstance(made, ObverseError):
            told = {"type": type(made).__name__, "message": made.message, "hint": made.hint}
            self._failed.update(dict.fromkeys(ids, told))
        else:
            self.edit = _compact(self.edit + made if self.edit else made)
        self._seconds.update(dict.fromkeys(ids, seconds))
        self.done += len(ids)

    def score(self, cases: Sequence[Case], score: Callable[[Sequence[Case], Edit], list[Record]]) -> None:
        """Ask all cases that were edited so far."""
        scored = score(cases, self.edit) if self.edit else [{"id": case.id} for case in cases]
        for record in scored:
            case = record["id"]
            failed = {"failed": self._failed[case]} if case in self._failed else {}
            self.records.append(
                {**record, "id": f"{self.done}:{case}", "case": case, "after": self.done, **failed,
                 "seconds": {"edit": self._seconds[case]}}
            )  # fmt: skip

    def save(self) -> None:
        """Write the state, the edit first: a stop between the two leaves the older state with its own edit."""
        name = f"edit-{self.done:05d}" if self.edit else ""
        if self.edit:
            self.edit.save(self._folder / name, replace=True)
        state = {"done": self.done, "edit": name, "failed": self._failed, "seconds": self._seconds,
                 "records": self.records}  # fmt: skip
        write_whole(self._folder / "state.json", lambda path: path.write_text(json.dumps(state), "utf-8"))
        _remove_others(self._folder, name)


def _compact(edit: Edit) -> Edit:
    """Return an edit whose changes take no more room than full matrices, laid out as they will be after a restart.

    Sums are then the same to the last bit, whether a sequence was stopped or not.
    """
    low = all(isinstance(delta, LowRank) and 2 * delta.left.shape[1] <= min(len(delta.left), len(delta.right))
              for delta in edit.deltas.values())  # fmt: skip
    return replace(edit, deltas={name: _laid_out(delta, low) for name, delta in edit.deltas.items()})


def _laid_out(delta: Delta, low: bool) -> Delta:
    if low and isinstance(delta, LowRank):
        return LowRank(delta.left.float().contiguous(), delta.right.float().contiguous())
    bias = delta.bias.float() if isinstance(delta, Dense) and delta.bias is not None else None
    return Dense(delta.dense().float().contiguous(), bias)


def _remove_others(folder: Path, name: str) -> None:
    for path in folder.glob("edit-*"):
        if path.name != name:
            shutil.rmtree(path)
