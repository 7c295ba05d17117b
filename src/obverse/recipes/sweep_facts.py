"""The facts of a sweep: each with another answer to write, and with the probes that S needs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from obverse.core import Case, DataError, Kind, Progress, UnknownName, seed_for
from obverse.data import case_for, read_cases
from obverse.data._known import RELATIONS, Relation
from obverse.data.relations import facts_of
from obverse.measuring import likelihoods
from obverse.recipes.facts import check_cases
from obverse.verifying.probes import rival

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

JUDGED: tuple[Kind, ...] = ("efficacy", "generalization", "specificity")
"""Kinds of probes that S is made of."""

DATASETS = ("builtin",)
"""Facts that come with the package, by name."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """The facts to edit.

    Attributes:
        cases: The facts, with the answers to write and their probes.
        source: Where they are from.
        skipped: Reason → how many facts were passed over.
    """

    cases: tuple[Case, ...]
    source: str
    skipped: Mapping[str, int] = field(default_factory=dict[str, int])


def sample_facts(lm: LanguageModel, dataset: str | Path, limit: int, seed: int = 0) -> Sample:
    """Choose facts to edit; with a larger limit the same ones come first.

    Args:
        lm: The unedited model.
        dataset: ``builtin``: well-known facts that the model answers rightly, of each relation in turn, the new answer
            drawn from the relation's other objects; or a file of facts, taken in its order.
        limit: How many at most.
        seed: Seed of the order and of the new answers of built-in facts.

    Raises:
        UnknownName: If there is no such data set or file.
        DataError: If no fact is left; says why each was passed over.
    """
    if isinstance(dataset, str) and dataset not in DATASETS:
        raise UnknownName.among("data set", dataset, DATASETS)
    skipped: Counter[str] = Counter()
    found = _from_file(lm, dataset, skipped) if isinstance(dataset, Path) else _builtin(lm, seed, skipped)
    cases = tuple(islice(found, limit))
    if not cases:
        why = "; ".join(f"{reason}: {count}" for reason, count in skipped.items())
        raise DataError(
            f"No fact is left to edit ({why}).",
            "Give facts with --facts FILE that have target_true, paraphrases and neighbours, and that are no answer of "
            "the model's yet.",
        )
    return Sample(cases, dataset.name if isinstance(dataset, Path) else dataset, dict(skipped))


def _from_file(lm: LanguageModel, path: Path, skipped: Counter[str]) -> Iterator[Case]:
    cases = read_cases(path)
    check_cases(cases)
    rows = iter([replace(case, probes={**case_for(case.fact).probes, **case.probes}) for case in cases])
    while batch := list(islice(rows, _BATCH)):
        answers = likelihoods(lm, [(case.fact.text, case.fact.target) for case in batch])
        for case, answer in zip(batch, answers, strict=True):
            missing = [kind for kind in JUDGED if not any(map(rival, case.probes.get(kind, ())))]
            if missing:
                skipped[f"no {' or '.join(missing)} probe to judge by"] += 1
            elif all(answer.correct):
                skipped["the target is the model's answer already"] += 1
            else:
                yield case


def _builtin(lm: LanguageModel, seed: int, skipped: Counter[str]) -> Iterator[Case]:
    rows = iter(builtin_cases(seed))
    with Progress("choosing facts the model knows") as progress:
        while batch := list(islice(rows, _BATCH)):
            answers = likelihoods(lm, [(case.fact.text, case.fact.target_true or "") for case in batch])
            progress.advance(len(batch))
            for case, answer in zip(batch, answers, strict=True):
                if all(answer.correct):
                    yield case
                else:
                    skipped["the model does not know it"] += 1


def builtin_cases(seed: int) -> list[Case]:
    """Return every well-known fact with another answer to write, one of each relation in turn, each subject once."""
    by_relation = [list(_of_relation(relation, seed)) for relation in RELATIONS]
    kept: dict[str, Case] = {}
    for case in (case for row in zip_longest(*by_relation) for case in row if case is not None):
        kept.setdefault(case.fact.subject, case)
    return list(kept.values())


def _of_relation(relation: Relation, seed: int) -> Iterator[Case]:
    listed = [subject for subjects in relation.facts.values() for subject in subjects]
    pairs = list(zip(listed, facts_of(relation), strict=True))
    order = np.random.default_rng(seed_for(seed, "facts", relation.name)).permutation(len(pairs))
    for subject, known in (pairs[i] for i in order):
        others = [other for other, subjects in relation.facts.items() if subject not in subjects]
        draw = np.random.default_rng(seed_for(seed, "target", relation.name, subject))
        fact = replace(known, target=others[draw.integers(len(others))], target_true=known.target)
        yield case_for(fact, f"{relation.name}: {fact.subject}")


def case_hash(case: Case) -> str:
    """Return the SHA-256 of a fact with its probes, whatever its name, in hexadecimal."""
    kept = asdict(replace(case, id=""))
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def facts_hash(cases: Sequence[Case]) -> str:
    """Return the SHA-256 of some facts with their probes, in any order, in hexadecimal."""
    return hashlib.sha256("".join(sorted(map(case_hash, cases))).encode()).hexdigest()
