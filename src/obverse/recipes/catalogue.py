"""What there is: editors, objectives, scorers, data sets, built-in models, known relations."""

from __future__ import annotations

import inspect
from typing import Literal

What = Literal["editors", "methods", "objectives", "scorers", "datasets", "models", "relations"]

DATASETS = {
    "starter": "facts that gemma-3-270m knows, with probes of all kinds; in the package (bench)",
    "builtin": "well-known facts of the table of relations; in the package (trace, sweep-layers)",
    "known": "1,209 facts that GPT-2 XL knows; from ROME's site (trace)",
    "counterfact": "21,919 counterfactual edits with their probes; from ROME's site (bench)",
    "multi-counterfact": "CounterFact without facts that contradict each other; from ROME's site (bench)",
    "zsre": "question answering records; from ROME's site (bench)",
    "toxicity": "a task: the Pile, scored by Detoxify; from the hub (train)",
    "pii": "a task: the Pile, scored for personal data; from the hub (train)",
    "pep8": "a task: Python files, scored by PEP 8; from the hub (train)",
    "docstrings": "text: docstrings of Python's own library; on every machine (score, moments)",
    "facts": "text: sentences made of the built-in facts; in the package (score, moments)",
    "mixed": "text: both of these (score, moments)",
    "wikipedia": "text: English Wikipedia; from the hub (moments)",
}
"""Data sets that go by a name, what they are, and the commands that know the name."""


def catalogue(what: What) -> list[tuple[str, str]]:
    """Return (name, description in a line) of everything of a kind; ``methods`` are the editors."""
    match what:
        case "editors" | "methods":
            from obverse.editing import editors

            return [(name, _first_line(editors.load(name))) for name in editors.names()]
        case "objectives":
            from obverse.training import objectives

            return [(name, _first_line(objectives.load(name))) for name in objectives.names()]
        case "scorers":
            from obverse.measuring.scorers import scorers

            return [(name, _first_line(scorers.load(name))) for name in scorers.names()]
        case "datasets":
            return list(DATASETS.items())
        case "models":
            from obverse.model.builtin import BUILTINS

            return [(name, f"{model.hub}, {model.licence}") for name, model in BUILTINS.items()]
        case "relations":
            from obverse.data._known import RELATIONS

            return [(relation.name, relation.prompts[0]) for relation in RELATIONS]


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]
