"""Measure, locate, teach and edit facts in language models, in both directions.

Example:
    >>> import obverse as ob
    >>> lm = ob.LanguageModel.load()
    >>> fact = ob.Fact("Space Needle", "The {} is in the city of", target="Paris", target_true="Seattle")
    >>> edit = ob.edit(lm, fact, method="rome")
    >>> print(ob.verify(lm, edit))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obverse.core import Case, Fact, ObverseError, Probe
    from obverse.data import read_cases
    from obverse.data.relations import case_for
    from obverse.editing import Edit
    from obverse.locating.trace import CausalTrace
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.edit import edit
    from obverse.recipes.measure import ask
    from obverse.recipes.trace import trace
    from obverse.verifying import Report, verify

__version__ = "0.1.0"

__all__ = [
    "Case", "CausalTrace", "Edit", "Fact", "LanguageModel", "ObverseError", "Probe", "Report", "__version__", "ask",
    "case_for", "edit", "read_cases", "trace", "verify",
]  # fmt: skip

_HOMES = {
    "Case": "obverse.core.facts",
    "CausalTrace": "obverse.locating.trace",
    "Edit": "obverse.editing.edit",
    "Fact": "obverse.core.facts",
    "LanguageModel": "obverse.model.language_model",
    "ObverseError": "obverse.core.errors",
    "Probe": "obverse.core.facts",
    "Report": "obverse.verifying.report",
    "ask": "obverse.recipes.measure",
    "case_for": "obverse.data.relations",
    "edit": "obverse.recipes.edit",
    "read_cases": "obverse.data.facts_file",
    "trace": "obverse.recipes.trace",
    "verify": "obverse.verifying.verify",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(__all__)
