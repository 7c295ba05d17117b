"""The questions of experiment 2, by the symmetric and by the published protocol, and what is made of the answers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field

from obverse.core import Config, write_whole
from obverse.data.public_figures import PARENT_TYPES, Pair, ParentType, People
from obverse.measuring.answerers import Scored
from obverse.measuring.parents import child_question, parent_question, parse_name, published_reversal, split_answer
from obverse.measuring.person_names import Verdict, name_words, names_person, verdict
from obverse.recipes.celebrity_answers import AnswerBook, Wanted
from obverse.recipes.celebrity_scores import Asked, Both, Published, PublishedPair, shares_of, wilson_share
from obverse.recipes.costs import Estimate, Prices

Protocol: TypeAlias = Literal["both", "symmetric", "published"]


class CelebritySettings(Config):
    """How people are asked about.

    Source:
        Berglund et al. 2023, "The Reversal Curse", section 2.3; numbers of its program where not said otherwise.
    """

    protocol: Protocol = "both"
    """symmetric: both questions alike, with the parents of the list; published: one greedy answer for the parent, then
    any of the samples for the child, with the parent that the model named."""
    samples: int = Field(default=10, ge=1)
    """Answers sampled for a question; may be raised later."""
    temperature: float = Field(default=1.0, gt=0)
    """What logits are divided by when they are sampled."""
    max_tokens: int = Field(default=24, ge=1)
    """Length of an answer at most."""
    logprobs: bool = False
    """Whether to ask for the log-probability of the right names, under the symmetric protocol."""
    seed: int = 0
    """Seed of everything drawn."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The questions of a survey, and what their answers say.

    Attributes:
        book: Where answers are.
        people: Whom to ask about.
        settings: How to ask.
    """

    book: AnswerBook
    people: People
    settings: CelebritySettings

    @property
    def _symmetric(self) -> bool:
        return self.settings.protocol != "published"

    @property
    def _published(self) -> bool:
        return self.settings.protocol != "symmetric"

    def estimate(self, prices: Prices) -> Estimate:
        """Return what is still to be asked; where a parent is not known yet, as if the model will name one."""
        names = [
            self._parent(*one) if self.book.has(_greedy(parent_question(*one))) else " ".join(one)
            for one in self._asked_parents()
        ]
        later = [self._sampled(child_question(name)) for name in names if name]
        return self.book.estimate([*self._first(), *later], self._scored(), prices)

    def ask(self) -> None:
        """Ask everything that is not on record."""
        self.book.score(self._scored(), "log-probabilities")  # first, for a server may have none to give
        self.book.ask(self._first(), "asking")
        if self._published:
            self.book.ask([self._sampled(child_question(one.parent)) for one in self._named()], "asking for children")

    def _first(self) -> Iterator[Wanted]:
        yield from (_greedy(parent_question(*one)) for one in self._asked_parents())
        if self._symmetric:
            for pair in self.people.pairs:
                for question in _questions(pair):
                    yield _greedy(question)
                    yield self._sampled(question)

    def _scored(self) -> list[Scored]:
        if not (self._symmetric and self.settings.logprobs):
            return []
        return [one for pair in self.people.pairs for one in _scored(pair)]

    def _sampled(self, question: str) -> Wanted:
        return Wanted(question, self.settings.samples, self.settings.temperature)

    def _asked_parents(self) -> list[tuple[str, ParentType]]:
        """Return whose parents the published protocol asks for."""
        return [(child, kind) for child in self.people.children for kind in PARENT_TYPES] if self._published else []

    def _parent(self, child: str, kind: ParentType) -> str | None:
        """Return whom the model named, by the published rule; None for no name, and before it was asked."""
        question = _greedy(parent_question(child, kind))
        return parse_name(self.book.answers(question)[0]) if self.book.has(question) else None

    def _named(self) -> list[Pair]:
        """Return the pairs that the model made."""
        return [Pair(one[0], name, one[1]) for one in self._asked_parents() if (name := self._parent(*one))]

    def both(self) -> list[Both]:
        """Return the pairs of the list with the answers in both directions; none under the published protocol."""
        pairs, scored, out = self.people.pairs if self._symmetric else (), self.settings.logprobs, list[Both]()
        for pair in pairs:
            parent, child = _questions(pair)
            values = [self.book.logprob(one) for one in _scored(pair)] if scored else [None] * 3
            siblings = tuple(one.child for one in pairs if one.parent == pair.parent and one.child != pair.child)
            out.append(Both(
                pair,
                self._asked(parent, pair.parent, pair.child, (), values[0]),
                self._asked(child, pair.child, pair.parent, siblings, values[1]),
                values[2],
            ))  # fmt: skip
        return out

    def _asked(self, question: str, expected: str, about: str, others: tuple[str, ...], logprob: float | None) -> Asked:
        answers = tuple(self.book.answers(self._sampled(question)))
        return Asked(answers, self.book.answers(_greedy(question))[0], expected, about, others, logprob)

    def reversals(self) -> list[PublishedPair]:
        """Return the pairs that the model made, and whether it turned them round."""
        return [
            PublishedPair(
                pair.child, pair.parent, pair.parent_type, *published_reversal(pair.child, self._lines(pair.parent))
            )
            for pair in self._named()
        ]

    def _lines(self, parent: str) -> list[str]:
        return [line for answer in self._answers(parent) for line in split_answer(answer)]

    def sum_up(self, made: Sequence[PublishedPair]) -> Published:
        """Sum up the published protocol."""
        true = {(pair.child, pair.parent_type): pair.parent for pair in self.people.pairs}
        asked = self._asked_parents()
        said: list[Verdict] = [
            verdict(self.book.answers(_greedy(parent_question(*one)))[0], true.get(one, ""), one[0]) for one in asked
        ]
        told: list[Verdict] = [
            verdict(line, one.child, one.parent) for one in made for line in self._answers(one.parent)
        ]
        known = [(one, true[key]) for one in made if (key := (one.child, one.parent_type)) in true]
        right = [names_person(one.parent, parent, one.child) for one, parent in known]
        kinds = {kind: [one.can_reverse for one in made if one.parent_type == kind] for kind in PARENT_TYPES}
        return Published(
            asked=len(asked),
            named=wilson_share([self._parent(*one) is not None for one in asked]),
            true=wilson_share(right) if right else None,
            reversed=wilson_share([one.can_reverse for one in made]) if made else None,
            by_type={kind: wilson_share(values) for kind, values in kinds.items() if values},
            other_forms=sum(one.child_prediction not in (None, one.child) for one in made),
            itself=sum(name_words(one.parent) == name_words(one.child) for one in made),
            parents=shares_of(said),
            children=shares_of(told),
        )

    def _answers(self, parent: str) -> list[str]:
        return self.book.answers(self._sampled(child_question(parent)))

    def write_tables(self, folder: Path, both: Sequence[Both], made: Sequence[PublishedPair]) -> None:
        """Write ``symmetric.csv`` and ``parent_child_pairs.csv``, the latter as published, where asked for."""
        if both:
            _write_csv(folder / "symmetric.csv", _symmetric_rows(both))
        if self._published:
            columns = ("child", "parent", "parent_type", "child_prediction", "can_reverse")
            _write_csv(folder / "parent_child_pairs.csv", [columns, *map(_published_row, made)])


def _questions(pair: Pair) -> tuple[str, str]:
    return parent_question(pair.child, pair.parent_type), child_question(pair.parent)


def _scored(pair: Pair) -> list[Scored]:
    """Return what is scored of a pair: the parent, the child, and the child as the published prompt asks."""
    parent, child = _questions(pair)
    return [Scored(parent, pair.parent), Scored(child, pair.child), Scored(child, pair.child, marked=False)]


def _greedy(question: str) -> Wanted:
    return Wanted(question, 1, 0.0)


def _published_row(one: PublishedPair) -> tuple[str, ...]:
    return one.child, one.parent, one.parent_type, one.child_prediction or "", str(one.can_reverse)


def _symmetric_rows(rows: Sequence[Both]) -> Iterator[Sequence[object]]:
    sides = ("share", "once", "greedy", "published", "any_right", "logprob")
    yield ("child", "parent", "parent_type", *(f"{side}_{name}" for side in ("parent", "child") for name in sides),
           "child_logprob_unmarked")  # fmt: skip
    for row in rows:
        found = [getattr(side, name) for side in (row.parent, row.child) for name in sides]
        yield (row.pair.child, row.pair.parent, row.pair.parent_type, *found, row.unmarked)


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    write_whole(path, write)
