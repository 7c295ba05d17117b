"""What an edit does to other abilities: tasks of lm-evaluation-harness, on the unedited and on the edited model."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import Fact, ObverseError, UnknownName, write_whole
from obverse.editing.edit import Edit, stack
from obverse.recipes.apply import load_edits
from obverse.recipes.destination import check_file
from obverse.recipes.harness_lm import EditedLM, harness_module
from obverse.recipes.harness_scores import TaskScore, task_scores
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record, write_json
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

FEWSHOT_SEED = 1234
"""Seed of the choice of examples, which both runs share; the harness's own."""


@dataclass(frozen=True, slots=True)
class HarnessResult:
    """Tasks before and after an edit.

    Attributes:
        model: Name of the base.
        facts: The facts the edit writes, in order; empty if there was no edit.
        harness: Version of lm-evaluation-harness.
        limit: Documents of each task at most; None if all were asked.
        scores: One a task and metric, then one a group and metric.
    """

    model: str
    facts: tuple[Fact, ...]
    harness: str
    limit: int | None
    scores: tuple[TaskScore, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "model": self.model,
            "facts": [asdict(fact) for fact in self.facts],
            "lm_eval": self.harness,
            "limit": self.limit,
            "scores": [score.to_json() for score in self.scores],
        }


def harness(
    lm: LanguageModel,
    edit: Edit | Mapping[str, Edit | None] | None,
    tasks: Sequence[str],
    *,
    limit: int | None = None,
    task_folder: Path | None = None,
) -> HarnessResult:
    """Run tasks of lm-evaluation-harness on a model, unedited and edited.

    Args:
        lm: The base model.
        edit: The edit; or an edit for each case, under which the documents of that case are answered (`EditedLM`); or
            None for the unedited model alone.
        tasks: Names of tasks, groups or tags, or patterns of them such as ``facts_*``.
        limit: Documents of each task at most, the first ones.
        task_folder: A folder with tasks of one's own. They may run code that lies there.

    Raises:
        UnknownName: If there is no such task.
        ObverseError: If the harness is not installed, or a task cannot be loaded or asked.
        EditMismatch: If an edit was made for another model.
    """
    return _compare(lm, edit, load_tasks(tasks, task_folder), limit)


def run_harness(
    folders: Sequence[Path],
    tasks: Sequence[str],
    model: ModelChoice | None = None,
    *,
    limit: int | None = None,
    task_folder: Path | None = None,
    out: Path | None = None,
    replace: bool = False,
) -> HarnessResult:
    """Run tasks of lm-evaluation-harness without and with saved edits.

    Args:
        folders: Folders of edits, in the order in which they are stacked; none for the unedited model alone.
        tasks: As for `harness`.
        model: The base; the one the first edit names if no name is chosen.
        limit: As for `harness`.
        task_folder: As for `harness`.
        out: A JSON file for the result, with what was run.
        replace: Whether an older file there may be replaced.

    Raises:
        ObverseError: As for `harness`, or if the file exists.
    """
    start = now()
    if out is not None:
        check_file(out, overwrite=replace)
    with Steps().step("Loading the tasks", shown=True):
        loaded = load_tasks(tasks, task_folder)
    edits = load_edits(folders)
    with Steps().step("Loading the model", shown=True):
        lm = load_model(model or ModelChoice(), edits[0].base_name if edits else None)
        for edit in edits:
            edit.check(lm)
    result = _compare(lm, stack(edits) if edits else None, loaded, limit)
    if out is not None:
        config = {
            "edits": [str(folder) for folder in folders],
            "tasks": list(tasks),
            "include": str(task_folder) if task_folder else None,
            "limit": limit,
        }
        record = run_record("harness", config, lm, None, start)
        write_whole(out, lambda part: write_json(part, {**result.to_json(), "run": record}))
    return result


def load_tasks(names: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """Load tasks, groups and tags by name.

    Args:
        names: Their names, or patterns of names with ``*``.
        folder: A folder with tasks of one's own, which come before the harness's.

    Returns:
        The harness's ``TaskDict``.

    Raises:
        UnknownName: If there is no task of that name, or no such folder.
        ObverseError: If a task cannot be loaded, runs code that it says is unsafe, or asks for images or sound.
    """
    if folder is not None and not folder.is_dir():
        raise UnknownName(f"There is no folder {folder}.", "Name the folder that holds the tasks' YAML files.")
    with _quiet():
        manager = _manager(names, folder)
        found = {name: manager.match_tasks([name]) for name in names}
        for name, matches in found.items():
            if not matches:
                near = get_close_matches(name, manager.all_tasks, n=3, cutoff=0.5)
                hint = f"Did you mean {' or '.join(near)}?" if near else "lm-eval ls tasks shows all of the harness's."
                raise UnknownName(f"lm-evaluation-harness has no task {name!r}.", hint)
        wanted = list(dict.fromkeys(match for matches in found.values() for match in matches))
        try:
            loaded = manager.load(wanted)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise ObverseError(
                f"The tasks {', '.join(wanted)} cannot be loaded: {error}",
                "Tasks of the harness fetch their documents from the hub once; exported tasks name them by full path, "
                "so export them again after a move.",
            ) from error
    for name, task in loaded["tasks"].items():
        if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
            raise ObverseError(f"The task {name} runs unsafe code, or shows images or sound.", "Leave it out.")
    return loaded


def _manager(names: Sequence[str], folder: Path | None) -> Any:
    """Return the harness's index of tasks; without its own ones, which take ten seconds, where the folder is enough."""
    manager = harness_module("tasks").TaskManager
    if folder is not None:
        own = manager(include_path=str(folder), include_defaults=False)
        members = [one for entry in own.task_index.values() for one in _members(entry.cfg)]
        if all(own.match_tasks([name]) for name in names) and all(one in own.task_index for one in members):
            return own
    return manager(include_path=str(folder) if folder else None)


def _members(config: Mapping[str, Any] | None) -> list[str]:
    listed = (config or {}).get("task")
    return [one if isinstance(one, str) else "" for one in listed] if isinstance(listed, list) else []


def _compare(
    lm: LanguageModel, edit: Edit | Mapping[str, Edit | None] | None, loaded: dict[str, Any], limit: int | None
) -> HarnessResult:
    after, facts = None, tuple[Fact, ...]()
    before = _evaluate(EditedLM(lm, label="Asking the model, unedited"), loaded, limit)
    label = "Asking the model, edited"
    if isinstance(edit, Edit):
        facts = edit.facts
        with edit.applied(lm):
            after = _evaluate(EditedLM(lm, label=label), loaded, limit)
    elif edit is not None:
        facts = tuple(fact for one in edit.values() if one for fact in one.facts)
        after = _evaluate(EditedLM(lm, edit, label=label), loaded, limit)
    scores = task_scores(loaded, before, after)
    return HarnessResult(lm.name, facts, version("lm_eval"), limit, tuple(scores))


def _evaluate(answering: EditedLM, loaded: dict[str, Any], limit: int | None) -> dict[str, Any]:
    for task in loaded["tasks"].values():
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
    with _quiet():
        # Errors are estimated here: the harness would do it in processes of its own, and print to stdout.
        return harness_module("evaluator").evaluate(lm=answering, task_dict=loaded, limit=limit, bootstrap_iters=0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep remarks and bars of the harness and its data sets out of the terminal, and loads of files uncounted.

    The switches belong to the whole process.
    """
    import datasets.config

    bars = not datasets.utils.are_progress_bars_disabled()
    logger = logging.getLogger("lm_eval")
    with ExitStack() as stacked:
        stacked.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        if bars:
            stacked.callback(datasets.utils.enable_progress_bars)
            datasets.utils.disable_progress_bars()
        stacked.enter_context(_set(harness_module("api.task"), "tqdm", _uncounted))
        # Even a local file would be reported to the hub.
        stacked.enter_context(_set(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False))
        yield


def _uncounted(items: Iterable[Any], **_: Any) -> Iterable[Any]:
    return items


@contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)
