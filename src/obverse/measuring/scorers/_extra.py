"""Libraries that are not installed unless asked for."""

from __future__ import annotations

import importlib
from typing import Any

from obverse.core import ConfigError


def library(module: str, scorer: str) -> Any:
    """Import a library that a scorer needs.

    Args:
        module: What is imported, e.g. ``"scrubadub"``.
        scorer: Who asks; the extra that brings the library has the same name.

    Raises:
        ConfigError: If it is not installed; the hint has the command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The scorer {scorer} needs {error.name or module}, which is not installed.",
            f"pip install 'obverse[{scorer}]'",
        ) from error
