"""Settings by model: published numbers where a paper gives them, measured ones for the built-ins, else the defaults."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


def preset(method: str, lm: LanguageModel) -> dict[str, Any]:
    """Return a method's settings for a model: the first entry of its preset file that fits, or none.

    An entry fits if family, number of layers, hidden size (and inner size, where it has one) are the model's.
    """
    file = files("obverse") / "configs" / "method" / f"{method}.yaml"
    if not file.is_file():
        return {}
    a = lm.architecture
    for entry in yaml.safe_load(file.read_text("utf-8"))["models"]:
        shape = (entry["family"], entry["layers"], entry["hidden"], entry.get("inner", a.inner))
        if shape == (a.family, a.n_layers, a.hidden, a.inner):
            return entry["settings"]
    return {}
