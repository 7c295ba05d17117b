"""Which of some plain facts a model knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from obverse.data.fact_sets import GIVEN_AWAY, gives_away
from obverse.data.relations import fill
from obverse.data.templates import Templates
from obverse.data.triples import Truths, objects
from obverse.measuring.choosing import Choice, likeliest

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

KnownBy = Literal["likeliest", "greedy"]
"""When a fact counts as known: ``likeliest``, if of all objects of the relation one that is true of the subject has the
highest probability after the prompt; ``greedy``, if besides each of its tokens is the arg-max of all tokens, so that
the model says it by itself."""

UNKNOWN = "the model does not know it"


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """The facts that a set may be made of.

    Attributes:
        held: Relation → subject → the true object that the model finds likeliest.
        known: Relation → how many facts the model knows, kept or not.
        dropped: Reason → how many facts are not held.
    """

    held: Mapping[str, Mapping[str, str]]
    known: Mapping[str, int]
    dropped: Mapping[str, int]


def held_facts(
    lm: LanguageModel,
    templates: Mapping[str, Templates],
    truths: Truths,
    known_by: KnownBy = "likeliest",
    keep_unknown: bool = False,
) -> HeldFacts:
    """Ask a model about every subject of every relation.

    A fact whose subject and object hold each other's name is not asked: it can be guessed.

    Args:
        lm: The model.
        templates: Relations by name.
        truths: What is true.
        known_by: When a fact counts as known.
        keep_unknown: Whether to keep facts that it does not know, with the likeliest of their true objects.
    """
    dropped: Counter[str] = Counter()
    held: dict[str, dict[str, str]] = {}
    known: dict[str, int] = {}
    for name, of in truths.items():
        asked = {s: true for s, true in of.items() if not any(gives_away(s, object_) for object_ in true)}
        dropped[GIVEN_AWAY] += len(of) - len(asked)
        every, prompt = objects(of), templates[name].prompt
        chosen = likeliest(lm, [(fill(prompt, s), every) for s in asked], f"asking about {name}")
        right = {
            s: choice.answer for (s, true), choice in zip(asked.items(), chosen, strict=True)
            if _knows(choice, true, known_by)
        }  # fmt: skip
        known[name] = len(right)
        unknown = [s for s in asked if s not in right]
        if keep_unknown and unknown:
            best = likeliest(lm, [(fill(prompt, s), asked[s]) for s in unknown])
            right |= {s: choice.answer for s, choice in zip(unknown, best, strict=True)}
        else:
            dropped[UNKNOWN] += len(unknown)
        held[name] = right
    return HeldFacts(held, known, {reason: count for reason, count in dropped.items() if count})


def _knows(choice: Choice, true: tuple[str, ...], known_by: KnownBy) -> bool:
    return choice.answer in true and (known_by == "likeliest" or choice.greedy)
