"""The answer that a trace follows, beside what the model itself would say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.measuring import likelihoods, top_tokens

if TYPE_CHECKING:
    from obverse.locating.trace import CausalTrace
    from obverse.model.language_model import LanguageModel

KNOWN = 0.01
"""An answer that is not the likeliest and less probable than this is not known: there is nothing to restore."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What was followed, where that was chosen by the user.

    Attributes:
        answer: The answer in full.
        token: Its first token, the one that was followed.
        probability: Of that token after the plain prompt.
        rank: Its rank there; 1 is the likeliest.
        own: The model's own likeliest token there.
        own_probability: Its probability.
    """

    answer: str
    token: str
    probability: float
    rank: int
    own: str
    own_probability: float

    @classmethod
    def of(cls, lm: LanguageModel, trace: CausalTrace) -> Followed:
        """Measure what stands beside the answer of a trace whose fact's target was followed."""
        fact = trace.fact
        (own,) = top_tokens(lm, fact.text, 1)
        (asked,) = likelihoods(lm, [(fact.text, fact.target)])
        return cls(fact.target, trace.answer, trace.clean, asked.rank, own.text, own.probability)

    @property
    def known(self) -> bool:
        """Whether the model holds the answer for likely at all."""
        return self.rank == 1 or self.probability >= KNOWN

    @property
    def caution(self) -> str:
        """What to say of an answer that is not known."""
        return (
            f"The model gives {self.token!r} only {share(self.probability)}: there is next to nothing to restore, and "
            "the map shows where that little comes from."
        )

    def __str__(self) -> str:
        """Return it in words."""
        part = "" if self.token.strip() == self.answer.strip() else f", the first token of {self.answer!r}"
        own = "the likeliest" if self.rank == 1 else f"rank {self.rank:,}"
        beside = (
            "" if self.rank == 1 else f"; the model's own likeliest is {self.own!r} ({share(self.own_probability)})"
        )
        return f"{self.token!r}{part}: {share(self.probability)}, {own}{beside}"


def share(p: float) -> str:
    """Return a share in percent; a small one with two digits that count, so that it is not shown as nothing."""
    return f"{p:.1%}" if p == 0 or abs(p) >= 0.00995 else f"{100 * p:.2g}%"
