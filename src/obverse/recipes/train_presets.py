"""Tasks and methods of training by name, and how they become the settings of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from obverse.core import ConfigError, UnknownName

Kind = Literal["task", "method"]
_FOLDER = files("obverse") / "configs" / "train"


def presets(kind: Kind) -> list[str]:
    """Return the names of the tasks or methods that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in (_FOLDER / kind).iterdir() if file.name.endswith(".yaml"))


def read_layer(kind: Kind, name: str) -> dict[str, Any]:
    """Read the settings of a task or a method.

    Args:
        kind: Which of them.
        name: A preset's name, or a YAML file.

    Raises:
        UnknownName: If there is neither.
        ConfigError: If the file is not a mapping in YAML.
    """
    path = Path(name)
    if path.suffix.lower() in (".yaml", ".yml"):
        if not path.is_file():
            raise UnknownName.among(f"{kind} file", name, presets(kind))
        text = path.read_text("utf-8")
    elif name in presets(kind):
        text = (_FOLDER / kind / f"{name}.yaml").read_text("utf-8")
    else:
        raise UnknownName.among(kind, name, presets(kind))
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}", "Mend the file.") from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} holds no settings.", "Write sections such as data:, model:, training:.")
    return dict(cast("Mapping[str, Any]", found))


def layers_of(task: str, method: str) -> list[dict[str, Any]]:
    """Return the settings of a task and a method, later ones winning.

    A method may hold ``tasks``: settings by name of a task, such as the published learning rate of this method on
    that task. Those of the task given go last.

    Raises:
        UnknownName: If there is no such task or method.
        ConfigError: If a file cannot be read.
    """
    first, second = read_layer("task", task), read_layer("method", method)
    by_task = second.pop("tasks", None) or {}
    name = Path(task).stem
    return [first, second, *([by_task[name]] if name in by_task else [])]


def as_yaml(settings: Mapping[str, Any], sections: Sequence[str]) -> str:
    """Return settings as YAML, sections in the order given."""
    ordered = {name: settings[name] for name in sections if name in settings}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)
