"""Values that the shell completes. They are found without importing what they name, so that a Tab takes no time."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import partial
from pathlib import Path

MODELS = ("gemma-3-270m", "smollm2-135m")
"""The built-in models."""

FITTED = ("ke", "mend")
"""The editors that are fitted first."""

DATASETS = ("starter", "counterfact", "zsre", "multi-counterfact")
"""The data sets of a benchmark."""


def plugins(room: str, group: str) -> list[str]:
    """Return the names in a room: its files that hold a plug-in's class, and what other packages add.

    Args:
        room: Folder inside the package, e.g. ``"editing"``.
        group: Entry-point group by which other packages add to it.
    """
    from importlib.metadata import entry_points  # slow to load, and needed at a Tab only
    from importlib.resources import files

    folder = files("obverse").joinpath(*room.split("/"))
    own = [
        file.name.removesuffix(".py").replace("_", "-")
        for file in folder.iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_") and _holds_plugin(file.read_text("utf-8"))
    ]
    return sorted([*own, *(entry.name for entry in entry_points(group=group))])


def _holds_plugin(source: str) -> bool:
    """Say whether a class of a file sets ``config_type``, which is what the registry knows a plug-in by."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    set_there = [
        target
        for node in classes
        for line in node.body
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "config_type" for target in set_there)


editors = partial(plugins, "editing", "obverse.editors")
objectives = partial(plugins, "training/objectives", "obverse.objectives")
scorers = partial(plugins, "measuring/scorers", "obverse.scorers")


def presets(folder: str) -> list[str]:
    """Return the names of YAML files in a folder of the package's ``configs``."""
    from importlib.resources import files

    found = files("obverse").joinpath("configs", *folder.split("/")).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in found if file.name.endswith(".yaml"))


def complete_fitted(incomplete: str) -> list[str]:
    """Complete an editor that is fitted to facts first."""
    return _begun(FITTED, incomplete)


def complete_editor(incomplete: str) -> list[str]:
    """Complete an editor's name."""
    return _begun(editors(), incomplete)


def complete_editors(incomplete: str) -> list[str]:
    """Complete the last of several editors with commas between."""
    return _last(editors(), incomplete)


def complete_objective(incomplete: str) -> list[str]:
    """Complete an objective: the name of a method of `obverse train`, or a YAML file."""
    return [*_begun(presets("train/method"), incomplete), *_paths(incomplete, ".yaml", ".yml")]


def complete_objectives(incomplete: str) -> list[str]:
    """Complete the last of several objectives with commas between."""
    return _last(objectives(), incomplete)


def complete_task(incomplete: str) -> list[str]:
    """Complete a task of `obverse train`, or a YAML file."""
    return [*_begun(presets("train/task"), incomplete), *_paths(incomplete, ".yaml", ".yml")]


def complete_scorer(incomplete: str) -> list[str]:
    """Complete a scorer's name."""
    return _begun(scorers(), incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Complete a built-in model, a folder, or a GGUF file."""
    return [*_begun(MODELS, incomplete), *_paths(incomplete, ".gguf")]


def complete_dataset(incomplete: str) -> list[str]:
    """Complete a data set of a benchmark, or a file of facts."""
    return [*_begun(DATASETS, incomplete), *_paths(incomplete, ".json", ".jsonl", ".csv")]


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _last(names: Iterable[str], incomplete: str) -> list[str]:
    """Complete the last of several names with commas between by one that is not there yet."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + name for name in _begun(names, last) if name not in given]


def _paths(incomplete: str, *endings: str) -> list[str]:
    """Return folders, with a slash after each, and files of these endings that begin so; hidden ones if asked for."""
    begun = incomplete.rpartition("/")[2]
    before = incomplete.removesuffix(begun)
    try:
        found = sorted(path for path in Path(before or ".").expanduser().iterdir() if path.name.startswith(begun))
    except OSError:
        return []
    return [
        before + path.name + "/" * path.is_dir()
        for path in found
        if (path.is_dir() or path.suffix in endings) and (begun or not path.name.startswith("."))
    ]
