"""The starter set: a few hundred facts that gemma-3-270m knows, made by the project itself from open data.

Kept are the triples, which of them the model knows, and the templates; the cases are made as they are read. How the
set came about, from what sources and under what licences, is in ``docs/starter.md`` and ``samples/NOTICE.txt``.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import cast

import yaml

from obverse.core import Case, JsonValue
from obverse.data.counterfact import counterfact_case
from obverse.data.fact_sets import FactSet, Held, SetChoices, make_set
from obverse.data.templates import Templates, templates_of
from obverse.data.triples import Truths

SAMPLES = files("obverse.data") / "samples"


def starter_cases() -> list[Case]:
    """Return the cases of the starter set, by relation, subjects alphabetically.

    Each has probes of all kinds. The targets are counterfactual: drawn from the other objects of the relation.
    """
    return [counterfact_case(record) for record in starter_set().records]


def starter_set() -> FactSet:
    """Return the starter set as records in CounterFact's schema, with ``reverse`` beside."""
    kept = cast("dict[str, JsonValue]", json.loads((SAMPLES / "starter.json").read_text("utf-8")))
    choices = cast("dict[str, int | None]", kept["choices"])
    return make_set(
        starter_templates(),
        {
            relation: {subject: tuple(objects) for subject, objects in of.items()}
            for relation, of in cast("dict[str, dict[str, list[str]]]", kept["true"]).items()
        },
        cast("Held", kept["held"]),
        SetChoices(**choices),  # pyright: ignore[reportArgumentType]
    )


def starter_templates() -> dict[str, Templates]:
    """Return the wordings of the starter set's relations, by name."""
    text = (SAMPLES / "starter_relations.yaml").read_text("utf-8")
    return templates_of("starter_relations.yaml", cast("list[object]", yaml.safe_load(text)))


def starter_json(truths: Truths, held: Held, choices: SetChoices) -> dict[str, JsonValue]:
    """Return what the file of the starter set holds; the inverse of how `starter_set` reads it."""
    return {
        "choices": {
            "seed": choices.seed,
            "neighbours": choices.neighbours,
            "per_relation": choices.per_relation,
            "limit": choices.limit,
            "min_neighbours": choices.min_neighbours,
        },
        "held": {relation: dict(of) for relation, of in held.items()},
        "true": {relation: {s: list(objects) for s, objects in of.items()} for relation, of in truths.items()},
    }
