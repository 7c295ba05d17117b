"""What answers about parents and children come to: both directions, by either protocol, with intervals by person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from obverse.core import Interval
from obverse.data.public_figures import Pair
from obverse.measuring.parents import published_share
from obverse.measuring.person_names import Verdict, names_person, verdict
from obverse.measuring.statistics import Paired, mean_interval, paired


@dataclass(frozen=True, slots=True)
class Asked:
    """What was answered to one question about a pair.

    Attributes:
        answers: Sampled answers.
        likeliest: The greedy answer.
        expected: Whom it should name.
        about: Whom the question was about.
        others: Others who would be right too: the parent's other children in the list.
        logprob: Log-probability of the expected name, in nats; None if not asked for.
    """

    answers: tuple[str, ...]
    likeliest: str
    expected: str
    about: str
    others: tuple[str, ...] = ()
    logprob: float | None = None

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of each sampled answer."""
        return [verdict(one, self.expected, self.about) for one in self.answers]

    @property
    def share(self) -> float:
        """Share of sampled answers that are right."""
        return self.verdicts().count("right") / len(self.answers)

    @property
    def once(self) -> float:
        """Whether a sampled answer is right, 0 or 1."""
        return float("right" in self.verdicts())

    @property
    def greedy(self) -> float:
        """Whether the greedy answer is right, 0 or 1."""
        return float(names_person(self.likeliest, self.expected, self.about))

    @property
    def published(self) -> float:
        """Share of sampled answers that begin with the name, letter by letter."""
        return published_share(self.expected, self.answers)

    @property
    def any_right(self) -> float:
        """Share of sampled answers that name the expected person, or one of the others."""
        names = (self.expected, *self.others)
        return float(np.mean([any(names_person(one, name, self.about) for name in names) for one in self.answers]))

    def said(self, what: Verdict) -> float:
        """Return the share of sampled answers with a verdict."""
        return self.verdicts().count(what) / len(self.answers)


@dataclass(frozen=True, slots=True)
class Both:
    """A pair, asked in both directions by the same protocol.

    Attributes:
        pair: The pair.
        parent: The question for the parent.
        child: The question for the child.
        unmarked: Log-probability of the child as the published program asks, see `completion_prompt`.
    """

    pair: Pair
    parent: Asked
    child: Asked
    unmarked: float | None = None


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction, over pairs; the mean of each person's pairs counts once, the person being the child.

    Attributes:
        share: Sampled answers that are right, by the normalised matcher.
        once: Pairs with a right one among the samples.
        greedy: Pairs whose greedy answer is right.
        published: Sampled answers that begin with the name, by the published rule.
        any_right: Sampled answers that are right, siblings included.
        refused: Sampled answers that refuse.
        unknown: Sampled answers that say it is not known.
        logprob: Log-probability of the right name, in nats.
    """

    share: Interval
    once: Interval
    greedy: Interval
    published: Interval
    any_right: Interval
    refused: Interval
    unknown: Interval
    logprob: Interval | None


@dataclass(frozen=True, slots=True)
class Symmetric:
    """Both directions under one protocol.

    Attributes:
        parent: Asked for the parent.
        child: Asked for the child.
        difference: Share of right parents less share of right children, paired by person.
        unmarked: Log-probability of the child as the published completion prompt asks.
        pairs: Number of pairs.
        people: Number of children.
    """

    parent: Direction
    child: Direction
    difference: Paired
    unmarked: Interval | None
    pairs: int
    people: int


@dataclass(frozen=True, slots=True)
class Published:
    """The published protocol: one greedy answer for the parent, any of several for the child.

    Attributes:
        asked: Parent questions.
        named: Answers that the rule takes for a name; those are the pairs.
        true: Those of them that our list has, None where it has no parents.
        reversed: Pairs whose child was named at least once; None if there is no pair.
        by_type: The same of mothers and of fathers.
        other_forms: Predictions that are not the child's name letter by letter.
        itself: Pairs whose parent is called as the child is, which small models often answer; to say the same name
            again counts as a reversal by the published rule.
        parents: Share of parent answers by verdict; none is right where the list has no parents.
        children: Share of child answers by verdict.
    """

    asked: int
    named: Interval
    true: Interval | None
    reversed: Interval | None
    by_type: Mapping[str, Interval]
    other_forms: int
    itself: int
    parents: Mapping[Verdict, float]
    children: Mapping[Verdict, float]


@dataclass(frozen=True, slots=True)
class PublishedPair:
    """A pair that the model made, and whether it could be turned round; a row of ``parent_child_pairs.csv``."""

    child: str
    parent: str
    parent_type: str
    child_prediction: str | None
    can_reverse: bool


def symmetric(rows: Sequence[Both], seed: int = 0) -> Symmetric:
    """Sum up pairs asked both ways, at least one."""
    parents, children = [row.parent for row in rows], [row.child for row in rows]
    people = [row.pair.child for row in rows]
    means = [_by_person(people, [one.share for one in side]) for side in (parents, children)]
    unmarked = [row.unmarked for row in rows]
    return Symmetric(
        parent=_direction(people, parents, seed),
        child=_direction(people, children, seed),
        difference=paired(means[0], means[1], seed),
        unmarked=_known_mean(people, unmarked, seed),
        pairs=len(rows),
        people=len(set(people)),
    )


def wilson_share(values: Sequence[bool]) -> Interval:
    """Return the share of successes, of at least one trial, with Wilson's interval."""
    return mean_interval([float(value) for value in values])


def shares_of(found: Sequence[Verdict]) -> dict[Verdict, float]:
    """Return the share of each verdict that occurs."""
    return {what: found.count(what) / len(found) for what in dict.fromkeys(sorted(found))}


def scores_json(scores: Symmetric | Published | None) -> dict[str, Any] | None:
    """Return scores as JSON values."""
    return asdict(scores) if scores else None


def _direction(people: Sequence[str], asked: Sequence[Asked], seed: int) -> Direction:
    def mean(value: Callable[[Asked], float]) -> Interval:
        return mean_interval(_by_person(people, [value(one) for one in asked]), seed)

    return Direction(
        share=mean(lambda one: one.share),
        once=mean(lambda one: one.once),
        greedy=mean(lambda one: one.greedy),
        published=mean(lambda one: one.published),
        any_right=mean(lambda one: one.any_right),
        refused=mean(lambda one: one.said("refused")),
        unknown=mean(lambda one: one.said("unknown")),
        logprob=_known_mean(people, [one.logprob for one in asked], seed),
    )


def _known_mean(people: Sequence[str], values: Sequence[float | None], seed: int) -> Interval | None:
    known = [value for value in values if value is not None]
    return mean_interval(_by_person(people, known), seed, shares=False) if len(known) == len(values) else None


def _by_person(people: Sequence[str], values: Sequence[float]) -> list[float]:
    """Return the mean of each person's values."""
    grouped: dict[str, list[float]] = {}
    for person, value in zip(people, values, strict=True):
        grouped.setdefault(person, []).append(value)
    return [float(np.mean(of)) for of in grouped.values()]
