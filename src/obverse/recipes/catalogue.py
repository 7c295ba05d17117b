"""What there is: methods, objectives, scorers, built-in models, known relations."""

from __future__ import annotations

import inspect
from typing import Literal

What = Literal["methods", "objectives", "scorers", "models", "relations"]


def catalogue(what: What) -> list[tuple[str, str]]:
    """Return (name, description in a line) of everything of a kind."""
    match what:
        case "methods":
            from obverse.editing import editors

            return [(name, _first_line(editors.load(name))) for name in editors.names()]
        case "objectives":
            from obverse.training import objectives

            return [(name, _first_line(objectives.load(name))) for name in objectives.names()]
        case "scorers":
            from obverse.measuring.scorers import scorers

            return [(name, _first_line(scorers.load(name))) for name in scorers.names()]
        case "models":
            from obverse.model.builtin import BUILTINS

            return [(name, f"{model.hub}, {model.licence}") for name, model in BUILTINS.items()]
        case "relations":
            from obverse.data._known import RELATIONS

            return [(relation.name, relation.prompts[0]) for relation in RELATIONS]


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]
