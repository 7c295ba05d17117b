"""Edits one upon another: applied in order, and what they are predicted to do to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.editing import Edit, cross_talk

if TYPE_CHECKING:
    from obverse.core import Fact
    from obverse.model.language_model import LanguageModel


@contextmanager
def stacked(edits: Sequence[Edit], lm: LanguageModel) -> Iterator[None]:
    """Apply edits by hook, in order, while the context is open."""
    with ExitStack() as stack:
        for applied in edits:
            stack.enter_context(applied.applied(lm))
        yield


@dataclass(frozen=True, slots=True)
class CrossTalk:
    """A prediction: how strongly thinking of one subject sets off the change made for another.

    Attributes:
        module: The matrix.
        written: The fact whose change answers.
        asked: The fact that sets it off.
        share: Share of the change that is written: 0 is none, 1 all of it.
    """

    module: str
    written: str
    asked: str
    share: float


def predicted(edits: Sequence[Edit], least: float = 0.01, most: int = 10) -> tuple[CrossTalk, ...]:
    """Return the strongest predicted cross-talk between the facts of stacked edits.

    Args:
        edits: The edits in order.
        least: Shares below this are left out.
        most: How many pairs are returned at most.
    """
    facts = [fact for one in edits for fact in one.facts]
    return tuple(
        CrossTalk(module, _short(facts[i]), _short(facts[j]), share)
        for module, i, j, share in cross_talk(edits)[:most]
        if abs(share) >= least
    )


def _short(fact: Fact) -> str:
    return f"{fact.subject} → {fact.target}"
