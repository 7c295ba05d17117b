"""The runs of a benchmark: each method at each point of a sweep, with its settings resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError
from obverse.editing import editors
from obverse.recipes.plan import Editor, check_settings, make_editor

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

UNEDITED = "unedited"
"""The run of the model as it is, against which all others are seen."""


@dataclass(frozen=True, slots=True)
class MethodRun:
    """A method at one point of a sweep.

    Attributes:
        label: Its name in tables, and of its folder.
        method: Name of the editor.
        overrides: Its settings as ``key=value``.
        point: The settings that the sweep gives it, as written.
    """

    label: str
    method: str
    overrides: tuple[str, ...] = ()
    point: Mapping[str, str] | None = None

    def editor(self, lm: LanguageModel) -> Editor | None:
        """Build the editor for a model; None for the unedited run."""
        return None if self.method == UNEDITED else make_editor(lm, self.method, overrides=self.overrides)


def plan_methods(methods: Sequence[str], overrides: Sequence[str] = (), sweep: Sequence[str] = ()) -> list[MethodRun]:
    """Return the runs of a benchmark, the unedited one first; all mistakes are found before any work.

    Args:
        methods: Names of editors.
        overrides: ``key=value`` for all methods, or ``method.key=value`` for one of them.
        sweep: ``key=value,value`` or ``method.key=value,value``; several make a grid.

    Raises:
        UnknownName: If there is no such method.
        ConfigError: If a setting does not exist or is out of range, or a method is named twice.
    """
    names = [name for name in methods if name != UNEDITED]
    for name in names:
        editors.load(name)
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(
            f"Named twice: {', '.join(sorted(twice))}.", "Name each method once; use --sweep for settings."
        )
    runs = [MethodRun(UNEDITED, UNEDITED)]
    axes = [_axis(text) for text in sweep]
    for name in names:
        own = [_of(name, names, key, value) for key, value in map(_split, overrides)]
        given = tuple(text for text in own if text)
        # A setting with a method's name before it is swept for that method alone.
        mine = [(key, values) for key, values in axes if _of(name, names, key, "") is not None]
        for values in product(*(values for _, values in mine)):
            point = {key.removeprefix(f"{name}."): value for (key, _), value in zip(mine, values, strict=True)}
            at = tuple(_override(key, value) for key, value in point.items())
            label = ",".join([name, *(f"{key}={value}" for key, value in point.items())])
            check_settings(name, {}, (*given, *at))
            runs.append(MethodRun(label, name, (*given, *at), point or None))
    return runs


def folder_name(label: str) -> str:
    """Return a run's label as the name of a folder."""
    return re.sub(r"[^\w.,=+-]+", "_", label)


def _split(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip() or not value.strip():
        raise ConfigError(f"{text!r} is not of the form key=value.", "Write for example --set rome.steps=25.")
    return key.strip(), value.strip()


def _of(name: str, names: Sequence[str], key: str, value: str) -> str | None:
    """Return ``key=value`` as a setting of a method; None if it names another one."""
    first, _, rest = key.partition(".")
    if first in names:
        return _override(rest, value) if first == name else None
    return _override(key, value)


def _override(key: str, value: str) -> str:
    return f"layers=[{value}]" if key == "layer" else f"{key}={value}"


def _axis(text: str) -> tuple[str, list[str]]:
    key, value = _split(text)
    values = [part.strip() for part in re.split(r",(?![^\[\](){}]*[\])}])", value)]
    if len(set(values)) < 2 or not all(values):
        raise ConfigError(
            f"{text!r} gives {len(set(values))} value(s) to sweep over.",
            "Write for example --sweep learning_rate=0.1,0.5 or --sweep layers=[2],[3,4].",
        )
    return key, values


def settings_of(editor: Editor | None) -> dict[str, Any]:
    """Return an editor's settings as JSON values."""
    return editor.config.model_dump(mode="json") if editor is not None else {}
