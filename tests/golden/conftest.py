"""Golden numbers: computed with the original programs, read from ``OBVERSE_GOLDEN`` (default ``../shared/golden``)."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obverse.model.language_model import LanguageModel

FOLDER = Path(os.environ.get("OBVERSE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))
SMOL = "smollm2-135m"


@pytest.fixture(scope="session")
def golden_model():
    """Return a function from a golden model's name to the model."""

    @cache
    def load(name: str) -> LanguageModel:
        return LanguageModel.load(SMOL if name.startswith("smol") else FOLDER / "rome" / "models" / name)

    return load


def golden(name: str) -> Any:
    """Return the content of a golden JSON file, or None where the folder is absent."""
    path = FOLDER / "rome" / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def arrays(name: str) -> Any:
    """Return the arrays of a golden NPZ file."""
    return np.load(FOLDER / "rome" / f"{name}.npz")


def params(name: str, cases: list[tuple[str, str]]) -> list[Any]:
    """Return one parameter a case (id, model); those on a built-in model are real-model tests."""
    if not cases:
        reason = f"no golden folder: {FOLDER / 'rome' / name}.json is absent (set OBVERSE_GOLDEN)"
        return [pytest.param("", marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(key, marks=[pytest.mark.real_model] if m.startswith("smol") else []) for key, m in cases]
