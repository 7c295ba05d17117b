"""In-context editing: no weight changes; the new facts stand before every question (IKE, Zheng et al. 2023).

The edit is a text, `Edit.prefix`, put before whatever the model is asked while the edit is applied. It ends where the
question starts:

    New fact: The Kremlin is located in the city of Berlin.          demonstrations: another fact, then a question
    Prompt: The Kremlin is located in the city of Berlin             that repeats it (copy), asks it in other words
                                                                     (update) or asks something else (retain)
    New fact: The Space Needle is in the city of Paris.              the facts to write
    Prompt:                                                          the question follows

Source: Zheng et al. 2023, *Can We Edit Factual Knowledge by In-Context Learning?*, arXiv 2305.12740, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from obverse.core import Config, EditFailed, Fact, Kind
from obverse.data.relations import case_for
from obverse.editing._others import others
from obverse.editing.edit import Edit
from obverse.model.tokens import encode, joint

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

SHOWN: tuple[Kind, ...] = (
    "efficacy", "generalization", "generalization", "generalization",
    "specificity", "specificity", "specificity", "specificity",
)  # fmt: skip
"""What the demonstrations ask, over and over: IKE's copy, update and retain in its ratio of 1 : 3 : 4."""


class InContextConfig(Config):
    """Settings of in-context editing."""

    demonstrations: int = Field(default=0, ge=0)
    """Demonstrations before the facts, from relations other than theirs (IKE: 32; 0 is its plain form, "ICE")."""
    fact: str = "New fact: "
    """What stands before a fact."""
    question: str = "Prompt: "
    """What stands before a question."""
    seed: int = 0
    """Seed of the choice of demonstrations."""


class InContext:
    """Tell the model the facts before every question."""

    config_type = InContextConfig

    def __init__(self, config: InContextConfig) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return no layer: no weight is changed."""
        return ()

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Make the edit that tells the facts. Works on every model.

        Raises:
            EditFailed: If the text leaves the model no room for a question.
        """
        prefix = self.prefix(facts)
        longest = max((fact.text + " " + fact.target for fact in facts), key=len)
        size = len(encode(lm.tokenizer, prefix + longest).ids)
        if lm.context is not None and size > lm.context:
            raise EditFailed(
                f"The facts, {self.config.demonstrations} demonstrations and a question make {size} tokens; {lm.name} "
                f"reads at most {lm.context}.",
                "Tell fewer facts, or give fewer demonstrations (--set demonstrations=0).",
            )
        return Edit(
            deltas={},
            facts=tuple(facts),
            method="in-context",
            config=self.config.model_dump(mode="json"),
            base=lm.fingerprint,
            base_name=lm.name,
            weights={},
            transposed=lm.architecture.transposed,
            details=tuple({"subject": fact.subject, "prefix_tokens": size} for fact in facts),
            prefix=prefix,
        )

    def prefix(self, facts: Sequence[Fact]) -> str:
        """Return the text that stands before every question."""
        shown = others(self.config.demonstrations, self.config.seed, facts)
        blocks = [self._demonstration(fact, SHOWN[i % len(SHOWN)], i) for i, fact in enumerate(shown)]
        told = "".join(self._told(fact) for fact in facts)
        return "".join(f"{block}\n\n" for block in blocks) + told + self.config.question

    def _told(self, fact: Fact) -> str:
        return f"{self.config.fact}{said(fact)}.\n"

    def _demonstration(self, fact: Fact, kind: Kind, number: int) -> str:
        """Return a fact, a question and the right answer: the new one, or of a neighbour its own."""
        known = case_for(fact).probes[kind]
        probe = known[number % len(known)]
        answer = joint(probe.text, probe.expected) + probe.expected
        return f"{self._told(fact)}{self.config.question}{probe.text}{answer}"


def said(fact: Fact) -> str:
    """Return a fact as a sentence, without its full stop."""
    return f"{fact.text}{joint(fact.text, fact.target)}{fact.target}"
