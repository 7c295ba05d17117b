"""Which of a method's settings a run's seed is."""

from __future__ import annotations

from typing import Any

from obverse.core import ConfigError
from obverse.editing import editors


def seed_settings(method: str, seed: int | None) -> dict[str, Any]:
    """Return the settings that give a method its seed: that of its contexts, its own, or both.

    Args:
        method: Name of the editor.
        seed: The seed; None leaves the method's own.

    Raises:
        UnknownName: If there is no such method.
        ConfigError: If the method samples nothing when it edits.
    """
    if seed is None:
        return {}
    fields = editors.load(method).config_type.model_fields
    found: dict[str, Any] = {"contexts": {"seed": seed}} if "contexts" in fields else {}
    if "seed" in fields:
        found["seed"] = seed
    if not found:
        raise ConfigError(
            f"--seed {seed} is given, but {method} samples nothing: the same facts give the same edit.",
            "Leave --seed out.",
        )
    return found
