"""Well-known facts with other answers: what an editor shows, or counts over, beside the facts it is to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from obverse.core import Fact, seed_for
from obverse.data.known import builtin_facts
from obverse.data.relations import relation_of


def others(count: int, seed: int, avoiding: Sequence[Fact] = ()) -> list[Fact]:
    """Return facts that come with the package, each with another answer of its relation as target.

    Args:
        count: How many at most.
        seed: Seed of their choice and order.
        avoiding: No fact shares relation or subject with these.
    """
    relations = {relation.name for fact in avoiding if (relation := relation_of(fact))}
    subjects = {fact.subject for fact in avoiding}
    known = [case.fact for case in builtin_facts()]
    generator = np.random.default_rng(seed_for(seed, "others"))
    chosen: list[Fact] = []
    for place in generator.permutation(len(known)):
        fact = known[place]
        answers = sorted({one.target for one in known if one.relation == fact.relation} - {fact.target})
        other = answers[generator.integers(len(answers))]
        if fact.relation not in relations and fact.subject not in subjects:
            chosen.append(replace(fact, target=other, target_true=fact.target))
    return chosen[:count]
