"""Scorers by name, from a package or from a file of the user's own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from obverse.core import Config, ConfigError, build
from obverse.measuring.scorers import Scorer, scorers


def load_scorer(name: str, settings: Mapping[str, Any] | None = None) -> Scorer:
    """Make a scorer.

    Args:
        name: A scorer's name (``pep8``), ``package.module:Class``, or ``path/to/file.py:Class``. The code of the last
            two is run.
        settings: Its settings; the rest have their defaults.

    Raises:
        UnknownName: If no scorer has that name.
        ConfigError: If the module, the file or the class is not there, the class is no scorer, or a setting is wrong.
    """
    found = _class_at(name) if ":" in name else scorers.load(name)
    return found(build(found.config_type, settings or {}))


def _class_at(name: str) -> type[Any]:
    place, _, attribute = name.rpartition(":")
    found = getattr(_module(place, name), attribute, None)
    if not isinstance(found, type):
        raise ConfigError(f"{place} has no class {attribute!r}.", "Name the class as it stands there: file.py:Class.")
    config_type = getattr(found, "config_type", None)
    lacking = [part for part in ("unit", "segments", "score") if not hasattr(found, part)]
    if not (isinstance(config_type, type) and issubclass(config_type, Config)):
        lacking.insert(0, "config_type (a Config)")
    if lacking:
        raise ConfigError(
            f"{name} is no scorer: it lacks {', '.join(lacking)}.",
            "A scorer has config_type, unit, segments and score(texts); see docs/scorers/own.md.",
        )
    return found


def _module(place: str, name: str) -> ModuleType:
    if place.endswith(".py"):
        return _from_file(Path(place))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        # an import that fails inside the module is the module's own fault, and is shown as it is
        if not place or not (place + ".").startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"There is no module {place!r}, named by {name!r}.",
            "Install its package, or give a file: path/file.py:Class.",
        ) from error
    except (ValueError, TypeError) as error:  # an empty or relative name
        raise ConfigError(f"{name!r} names no module.", "Write package.module:Class or path/file.py:Class.") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.", "Write path/file.py:Class.")
    full = path.resolve()
    own = f"obverse_scorer_{full.stem}_{abs(hash(str(full))):x}"
    spec = importlib.util.spec_from_file_location(own, full)
    assert spec is not None
    assert spec.loader is not None  # a .py file has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module  # dataclasses and Pydantic look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own]
        raise
    return module
