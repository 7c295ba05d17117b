"""``run.json``: what was run, on which model, with which versions, when."""

from __future__ import annotations

import json
import os
import platform
import re
import unicodedata
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_PACKAGES = ("torch", "transformers", "peft", "safetensors", "numpy")


def now() -> str:
    """Return the time in UTC, e.g. ``2026-11-21T05:12:40+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_record(command: str, config: dict[str, Any], lm: LanguageModel, seed: int | None, start: str) -> dict[str, Any]:
    """Return what ``run.json`` holds.

    Args:
        command: Name of the command.
        config: Everything that was asked, resolved.
        lm: The model.
        seed: Seed of what was sampled; None if nothing was.
        start: When it began, from `now`.
    """
    from obverse.core import package_version

    return {
        "command": command,
        "config": config,
        "model": {
            "name": lm.name,
            "revision": lm.revision,
            "dtype": str(lm.dtype).removeprefix("torch."),
            "device": str(lm.device),
            "fingerprint": lm.fingerprint.to_json(),
        },
        "seed": seed,
        "versions": {"obverse": package_version(), "python": platform.python_version(), **_versions()},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "start": start,
        "end": now(),
    }


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that people can read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def slug(text: str, length: int = 40) -> str:
    """Return a text as part of a file name: lower case, letters and digits of any script, hyphens between."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold().replace("_", " "))
    return "-".join(words)[:length].strip("-") or "fact"
