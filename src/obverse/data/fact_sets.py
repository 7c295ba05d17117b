"""Make a CounterFact-style set of plain facts: new answers, paraphrases, neighbours, the reverse, open prompts.

Every choice is seeded by the fact it is for, so it depends neither on the order of the facts nor on how many are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, zip_longest

import numpy as np

from obverse.core import JsonValue, seed_for
from obverse.data.relations import fill
from obverse.data.templates import Templates
from obverse.data.triples import Truths, objects

GIVEN_AWAY = "one name holds the other"
"""Why a question is not asked: "Mexico City is in the country of" needs no knowledge."""

NO_OTHER = "no other object to draw"
FEW = "too few neighbours"
LEFT_OUT = "beyond what was asked for"


@dataclass(frozen=True, slots=True)
class SetChoices:
    """What is free in a set.

    Attributes:
        seed: Seed of the targets, of the neighbours and of which facts are taken.
        neighbours: Neighbouring facts of a case, at most; as many attribute prompts.
        per_relation: Cases of a relation, at most; None takes all.
        limit: Cases, at most, of each relation in turn; None takes all.
        min_neighbours: Neighbouring facts that a case must have.
    """

    seed: int = 0
    neighbours: int = 10
    per_relation: int | None = None
    limit: int | None = None
    min_neighbours: int = 0


@dataclass(frozen=True, slots=True)
class FactSet:
    """A set as it was made.

    Attributes:
        records: Records in CounterFact's schema, with ``reverse`` beside; by relation, subjects alphabetically.
        dropped: Reason → facts that did not become one.
    """

    records: tuple[dict[str, JsonValue], ...]
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])


Held = Mapping[str, Mapping[str, str]]
"""Relation → subject → the object that stands as its true answer; only of facts that a set may be made of."""


def make_set(templates: Mapping[str, Templates], truths: Truths, held: Held, choices: SetChoices) -> FactSet:
    """Make a set of the facts held.

    The target of a case is drawn from its relation's objects that are not true of its subject, nor within its name or
    the other way round. Neighbours are held
    facts of other subjects of which the target is not true: with the same object, or with any that is not the target
    (see `Templates.neighbours`). Attribute prompts are about other subjects whose held object is the target.

    Args:
        templates: Relations by name.
        truths: All that is true, held or not.
        held: The facts to make cases of.
        choices: Seed and sizes.
    """
    dropped: Counter[str] = Counter()
    made = [
        list(islice(_records(_Relation(templates[name], truths[name], of, choices), dropped), choices.per_relation))
        for name, of in sorted(held.items())
    ]
    in_turn = (record for row in zip_longest(*made) for record in row if record is not None)
    records = sorted(islice(in_turn, choices.limit), key=lambda record: str(record["case_id"]))
    count = sum(map(len, held.values())) - len(records) - dropped.total()
    return FactSet(tuple(records), {**dropped, **({LEFT_OUT: count} if count else {})})


def gives_away(subject: str, object_: str) -> bool:
    """Say whether one name is the other or has it within, as words."""
    first, second = (f" {_name(text).casefold()} " for text in (subject, object_))
    return first in second or second in first


@dataclass(frozen=True, slots=True)
class _Relation:
    """A relation with its wordings, what is true, what is held, and what is free."""

    templates: Templates
    truths: Mapping[str, tuple[str, ...]]
    held: Mapping[str, str]
    choices: SetChoices

    def seed(self, use: str, subject: str) -> int:
        return seed_for(self.choices.seed, use, self.templates.name, subject)

    def targets(self, subject: str) -> list[str]:
        """Return the objects that may stand as a false one."""
        true = {object_.casefold() for object_ in (*self.truths[subject], self.held[subject])}
        return [o for o in objects(self.truths) if o.casefold() not in true and not gives_away(subject, o)]

    def neighbours(self, subject: str, target: str) -> list[str]:
        """Return subjects whose fact must not change."""
        found = [
            other for other in self._others(subject) if target.casefold() not in map(str.casefold, self.truths[other])
        ]
        if self.templates.neighbours == "shared":
            found = [other for other in found if self.held[other] == self.held[subject]]
        return self._drawn(found, "neighbours", subject)

    def attributes(self, subject: str, target: str) -> list[str]:
        """Return subjects that have the target."""
        return self._drawn([o for o in self._others(subject) if self.held[o] == target], "attributes", subject)

    def _others(self, subject: str) -> list[str]:
        return [other for other in sorted(self.held) if not gives_away(subject, other)]

    def _drawn(self, names: list[str], use: str, subject: str) -> list[str]:
        order = np.random.default_rng(self.seed(use, subject)).permutation(len(names))
        return [names[int(i)] for i in order[: self.choices.neighbours]]


def _records(relation: _Relation, dropped: Counter[str]) -> Iterator[dict[str, JsonValue]]:
    """Yield the relation's records in a drawn order, so that a limit takes no first letters of the alphabet."""
    for subject in sorted(relation.held, key=lambda subject: (relation.seed("take", subject), subject)):
        targets = relation.targets(subject)
        if not targets:
            dropped[NO_OTHER] += 1
            continue
        draw = np.random.default_rng(relation.seed("target", subject))
        target = targets[draw.integers(len(targets))]
        near = relation.neighbours(subject, target)
        if len(near) < relation.choices.min_neighbours:
            dropped[FEW] += 1
            continue
        yield _record(relation, subject, target, near)


def _record(relation: _Relation, subject: str, target: str, near: list[str]) -> dict[str, JsonValue]:
    templates, held, name = relation.templates, relation.held, _name(subject)
    asked = [(fill(templates.prompt, other), held[other]) for other in near]
    return {
        "case_id": f"{templates.name}: {subject}",
        "requested_rewrite": {
            "prompt": fill(templates.prompt, "the {}" if name != subject else "{}"),
            "relation_id": templates.wikidata or templates.name,
            "subject": name,
            "target_new": {"str": target},
            "target_true": {"str": held[subject]},
        },
        "paraphrase_prompts": [fill(form, subject) for form in templates.paraphrases],
        # As in CounterFact a neighbour without an answer shares the true target.
        "neighborhood_prompts": [text if true == held[subject] else [text, true] for text, true in asked],
        "attribute_prompts": [fill(templates.prompt, other) for other in relation.attributes(subject, target)],
        "generation_prompts": [fill(form, subject) for form in templates.open],
        "reverse": [form + (" the" if name != subject else "") for form in templates.reverse],
    }


def _name(text: str) -> str:
    return text.removeprefix("the ")
