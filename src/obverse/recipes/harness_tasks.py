"""Facts and their probes as tasks of lm-evaluation-harness: a folder of YAML files with their documents beside them."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from obverse.core import KINDS, Case, ConfigError, DataError, Probe, package_version, whole_folder
from obverse.data import read_cases
from obverse.model.tokens import joint
from obverse.recipes.record import slug, write_json

VERSION = 1.0
"""Of what the tasks ask; the harness reports it with every result."""

MARKER = "harness.json"
"""A file by which a folder is known to hold exported tasks, and so may be replaced."""


@dataclass(frozen=True, slots=True)
class ExportedTasks:
    """Tasks that were written.

    Attributes:
        folder: Where.
        groups: Name of a group → its tasks.
        documents: Name of a task → how many documents it has.
    """

    folder: Path
    groups: dict[str, tuple[str, ...]]
    documents: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        groups = {group: list(tasks) for group, tasks in self.groups.items()}
        return {"folder": str(self.folder), "groups": groups, "documents": self.documents}


def export_file(file: Path, folder: Path, name: str | None = None, *, replace: bool = False) -> ExportedTasks:
    """Write a file of facts as tasks, named after it if no name is given; see `export_tasks`."""
    return export_tasks(read_cases(file), folder, name or slug(file.stem).replace("-", "_"), replace=replace)


def export_tasks(cases: Sequence[Case], folder: Path, name: str = "facts", *, replace: bool = False) -> ExportedTasks:
    """Write facts as tasks of lm-evaluation-harness, which can load them without a network.

    For each kind of probe (efficacy, generalization, specificity, reverse) there are up to two tasks:

    - ``NAME_KIND``, multiple choice: is the expected answer likelier than the other one (or, asked in reverse, likelier
      than after the contrast)? A tie fails.
    - ``NAME_KIND_said``, log-likelihood: is each token of the expected answer the arg-max?

    and over the kinds the groups ``NAME`` and ``NAME_said``, whose ``acc`` is the mean over the kinds. Each document
    names its case in ``case_id``, by which `obverse.recipes.harness_lm.EditedLM` knows its edit.

    Args:
        cases: The facts and their probes.
        folder: Where to write. The YAML files name their documents by full path: write them again after a move.
        name: What the names of all tasks begin with.
        replace: Whether tasks exported there before may be replaced.

    Raises:
        ConfigError: If the name is not one for a task.
        DataError: If there is nothing to ask, or two cases share an id.
        ObverseError: If the folder exists and may not be replaced, or cannot be written.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"{name!r} is no name for a task.", "Use letters, digits, _, . and -.")
    if twice := [case for case, times in Counter(case.id for case in cases).items() if times > 1]:
        raise DataError(f"Several cases have the id {twice[0]!r}.", "Give each fact an id of its own.")
    tasks = _tasks(cases, name)
    if not tasks:
        raise DataError("There is nothing to ask: no case has a probe.", "Give at least one fact.")
    if replace and folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise DataError(
            f"{folder} holds no exported tasks (no {MARKER}), and is not replaced.", "Choose another folder."
        )
    groups: dict[str, tuple[str, ...]] = {}
    for task in tasks.values():
        groups[task.group] = (*groups.get(task.group, ()), task.name)
    exported = ExportedTasks(folder, groups, {task.name: len(task.documents) for task in tasks.values()})
    with whole_folder(folder, replace=replace) as draft:
        for task in tasks.values():
            lines = (json.dumps(document, ensure_ascii=False) + "\n" for document in task.documents)
            (draft / f"{task.name}.jsonl").write_text("".join(lines), "utf-8")
            _write(draft / f"{task.name}.yaml", task.config(folder.resolve() / f"{task.name}.jsonl"))
        for group, members in groups.items():
            _write(draft / f"{group}.yaml", _group(group, members))
        write_json(draft / MARKER, exported.to_json())
    return exported


_TWO_ANSWERS = {
    "output_type": "multiple_choice",
    "doc_to_text": "prompt",
    "doc_to_choice": "choices",
    "doc_to_target": "label",
}
_TWO_PROMPTS = {
    "output_type": "multiple_choice",
    "doc_to_text": "label",
    "doc_to_choice": "prompts",
    "doc_to_target": "continuation",
}
_SAID = {"output_type": "loglikelihood", "doc_to_text": "prompt", "doc_to_target": "continuation"}


@dataclass(frozen=True, slots=True)
class _Task:
    """A task, the group it belongs to, the fields it reads, and its documents."""

    name: str
    group: str
    reads: dict[str, str]
    documents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def config(self, documents: Path) -> dict[str, Any]:
        """Return what its YAML file holds."""
        return {
            "task": self.name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": glob.escape(str(documents))}},
            "test_split": "test",
            "num_fewshot": 0,
            **self.reads,
            "target_delimiter": "",  # the documents hold the space, where one belongs
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": VERSION, "obverse": package_version()},
        }


def _tasks(cases: Sequence[Case], name: str) -> dict[str, _Task]:
    """Return the tasks that have documents, by name."""
    tasks: dict[str, _Task] = {}

    def add(task: str, group: str, reads: dict[str, str], document: dict[str, Any]) -> None:
        tasks.setdefault(task, _Task(task, group, reads)).documents.append(document)

    for kind in KINDS:
        # A task has documents of one form, so a kind with both forms of rival has two tasks.
        both = {form for case in cases for probe in case.probes.get(kind, ()) if (form := _form(probe))}
        for case in cases:
            for probe in case.probes.get(kind, ()):
                known = {"case_id": case.id, "subject": case.fact.subject}
                suffix = "_contrast" if len(both) > 1 and _form(probe) == "contrast" else ""
                if document := _choice(probe):
                    reads = _TWO_PROMPTS if _form(probe) == "contrast" else _TWO_ANSWERS
                    add(f"{name}_{kind}{suffix}", name, reads, {**known, **document})
                said = {"prompt": probe.text, "continuation": joint(probe.text, probe.expected) + probe.expected}
                add(f"{name}_{kind}_said", f"{name}_said", _SAID, {**known, **said})
    return tasks


def _form(probe: Probe) -> str | None:
    """Return what a probe's answer is measured against, as `obverse.verifying.probes.rival` has it."""
    return "answer" if probe.rejected else "contrast" if probe.contrast else None


def _choice(probe: Probe) -> dict[str, Any] | None:
    """Return a probe as a choice of two. The right one is the second: of equal ones the harness takes the first."""
    if probe.rejected:
        choices = [joint(probe.text, answer) + answer for answer in (probe.rejected, probe.expected)]
        return {"prompt": probe.text, "choices": choices, "label": 1}
    if probe.contrast:
        prompts = [text + joint(text, probe.expected) for text in (probe.contrast, probe.text)]
        return {"prompts": prompts, "continuation": probe.expected, "label": 1}
    return None


def _group(name: str, tasks: Sequence[str]) -> dict[str, Any]:
    return {
        "group": name,
        "task": list(tasks),
        "aggregate_metric_list": [{"metric": "acc", "aggregation": "mean", "weight_by_size": False}],
        "metadata": {"version": VERSION, "obverse": package_version()},
    }


def _write(path: Path, config: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "utf-8")
