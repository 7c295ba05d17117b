"""What many edits at once do to other abilities: tasks of lm-evaluation-harness on the models a benchmark made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import ConfigError, write_whole
from obverse.editing import Edit
from obverse.recipes.bench.methods import UNEDITED
from obverse.recipes.bench.request import Schedule

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

FILE = "harness.json"
"""In a run's folder: what the tasks gave before and after."""


def check_tasks(tasks: Sequence[str], schedule: Schedule) -> None:
    """Refuse, before any work, tasks that cannot be run.

    Raises:
        ConfigError: If each fact is edited on the fresh model, so that there is no one edited model.
        UnknownName: If there is no such task.
        ObverseError: If the harness is not installed.
    """
    from obverse.recipes.harness import load_tasks

    if not tasks:
        return
    if schedule.kind == "single":
        raise ConfigError(
            "--harness asks one edited model, but with --schedule single each fact has its own.",
            "Use --schedule batch or sequential; or export the set (obverse harness --export) and give each document "
            "its own edit.",
        )
    load_tasks(tasks)


def run_tasks(lm: LanguageModel, tasks: Sequence[str], folders: Mapping[str, Path]) -> None:
    """Run tasks on the unedited model and under the first edit of each run, and write what came of it.

    Args:
        lm: The model; untouched.
        tasks: Names of tasks; none does nothing.
        folders: Label → folder of the run, whose edits lie there; done ones are passed over.
    """
    from obverse.recipes.harness import harness

    for label, folder in folders.items():
        edits = saved_edits(folder)
        path = folder / FILE
        if not tasks or label == UNEDITED or not edits or _has(path, tasks):
            continue
        found = {"tasks": [*tasks], **harness(lm, Edit.load(edits[0]), tasks).to_json()}
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        write_whole(path, lambda draft, text=text: draft.write_text(text, "utf-8"))


def saved_edits(folder: Path) -> list[Path]:
    """Return the folders of a run's edits: of all facts at once, or of each sequence as it is after its last fact."""
    return sorted(path.parent for path in (*folder.glob("batch.*/edit.json"), *folder.glob("sequence.*/*/edit.json")))


def _has(path: Path, tasks: Sequence[str]) -> bool:
    return path.is_file() and json.loads(path.read_text("utf-8"))["tasks"] == [*tasks]
