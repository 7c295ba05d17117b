"""Facts, and the questions that show whether a model holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from obverse.core.errors import DataError, SubjectNotFound
from obverse.core.questions import Consequence

Kind = Literal["efficacy", "generalization", "specificity", "reverse"]
"""What a probe asks about an edit: the prompt itself, its paraphrases, neighbouring facts, the other direction."""

KINDS: tuple[Kind, ...] = ("efficacy", "generalization", "specificity", "reverse")


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement "A is B": the subject A, a prompt that asks for B, and B.

    Example:
        ``Fact("Space Needle", "The {} is in the city of", target="Paris", target_true="Seattle")``

    Attributes:
        subject: The entity the fact is about.
        prompt: Template with exactly one ``{}`` for the subject; ends where the target starts.
        target: The answer the fact states (for an edit, the new one).
        target_true: The answer before the edit, if known.
        relation: Name of the relation, if known (e.g. a Wikidata property).

    Raises:
        DataError: If the prompt has not exactly one ``{}``, or the subject or target is empty.
    """

    subject: str
    prompt: str
    target: str
    target_true: str | None = None
    relation: str | None = None

    def __post_init__(self) -> None:
        """Check what every later step relies on."""
        count = self.prompt.count("{}")
        if count != 1:
            raise DataError(
                f"The prompt {self.prompt!r} has {count} places '{{}}' for the subject; it needs exactly one.",
                "Write the prompt with {} where the subject goes, e.g. 'The {} is located in the city of'.",
            )
        if not self.subject.strip():
            raise DataError(f"The subject of {self.prompt!r} is empty.", "Name the entity the fact is about.")
        if not self.target.strip():
            raise DataError(f"The target of {self.text!r} is empty.", "Give the answer that should follow the prompt.")
        if self.target_true is not None and not self.target_true.strip():
            raise DataError(f"The true target of {self.text!r} is empty.", "Leave it out or give the present answer.")

    @property
    def text(self) -> str:
        """The prompt with the subject filled in."""
        return self.prompt.replace("{}", self.subject)

    @property
    def span(self) -> tuple[int, int]:
        """Characters of the subject in `text`, as [start, end)."""
        start = self.prompt.index("{}")
        return start, start + len(self.subject)

    @classmethod
    def from_text(
        cls, text: str, subject: str, target: str, target_true: str | None = None, relation: str | None = None
    ) -> Fact:
        """Make a fact from a filled-in prompt; the subject becomes ``{}``.

        Of several occurrences the first that stands as a word of its own is taken, or else the first.

        Raises:
            SubjectNotFound: If the subject does not occur in the text.
        """
        if "{}" in text:
            return cls(subject, text, target, target_true, relation)
        if not subject or subject not in text:
            raise SubjectNotFound(
                f"The subject {subject!r} does not occur in the prompt {text!r}.",
                "Spell the subject as it stands in the prompt (capitals count), or write {} in its place.",
            )
        word = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text)
        start = word.start() if word else text.index(subject)
        return cls(subject, f"{text[:start]}{{}}{text[start + len(subject) :]}", target, target_true, relation)


@dataclass(frozen=True, slots=True)
class Probe:
    """One question with its right answer.

    The probe succeeds if the model finds ``expected`` after ``text`` likelier than ``rejected`` after ``text``, or
    likelier than ``expected`` after ``contrast`` (how the reverse direction is asked: the same subject after the new
    and after the old object).

    Attributes:
        text: The question; the answer follows it.
        expected: The answer that should be likely.
        rejected: An answer that should be less likely, if there is one.
        contrast: A question after which ``expected`` should be less likely, if there is one.
    """

    text: str
    expected: str
    rejected: str | None = None
    contrast: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A fact and the probes by which an edit of it is judged.

    Attributes:
        id: Name of the case, unique in its data set.
        fact: The fact to write.
        probes: Questions by kind.
        prompts: Open prompts, continued freely before and after the edit.
        references: Texts about the target, for consistency scores.
        essence: Texts about the subject itself, whose perplexity tells whether an edit harmed it.
        attributes: Questions about other subjects whose true answer is the target (CounterFact's attribute prompts);
            recorded, never summarised.
        along: Further facts, written by the same edit.
        consequences: Tests of what the edit entails.
    """

    id: str
    fact: Fact
    probes: Mapping[Kind, tuple[Probe, ...]] = field(default_factory=dict[Kind, tuple[Probe, ...]])
    prompts: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    essence: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    along: tuple[Fact, ...] = ()
    consequences: tuple[Consequence, ...] = ()

    @classmethod
    def of(
        cls,
        fact: Fact,
        *,
        id: str = "0",
        paraphrases: tuple[str, ...] = (),
        neighbours: tuple[tuple[str, str | None], ...] = (),
        reverse: tuple[str, ...] = (),
        prompts: tuple[str, ...] = (),
    ) -> Case:
        """Build the probes of a fact from plain texts.

        Args:
            fact: The fact to write.
            id: Name of the case.
            paraphrases: Other ways to ask for the target, subject filled in.
            neighbours: (prompt, true answer) of facts that must not change; an answer of None stands for the fact's
                true target, which is also what CounterFact's neighbours share.
            reverse: Templates with one ``{}`` for the *object*; the subject is the answer.
            prompts: Open prompts to continue.

        Raises:
            DataError: If a neighbour has no answer to be judged by, or a reverse template not exactly one ``{}``.
        """
        _check_probes(fact, neighbours, reverse)
        probes: dict[Kind, tuple[Probe, ...]] = {
            "efficacy": (Probe(fact.text, fact.target, fact.target_true),),
            "generalization": tuple(Probe(text, fact.target, fact.target_true) for text in paraphrases),
            "specificity": tuple(
                Probe(text, answer or fact.target_true or "", fact.target) for text, answer in neighbours
            ),
            "reverse": tuple(
                Probe(
                    template.replace("{}", fact.target),
                    fact.subject,
                    contrast=template.replace("{}", fact.target_true) if fact.target_true else None,
                )
                for template in reverse
            ),
        }
        return cls(id, fact, {kind: found for kind, found in probes.items() if found}, prompts)


def _check_probes(fact: Fact, neighbours: tuple[tuple[str, str | None], ...], reverse: tuple[str, ...]) -> None:
    for text, answer in neighbours:
        if not (answer or fact.target_true):
            raise DataError(
                f"The neighbour {text!r} has no answer, and {fact.text!r} no true target to stand for it.",
                "Give the neighbour its answer (prompt => answer), or the fact its target_true.",
            )
    for template in reverse:
        if (count := template.count("{}")) != 1:
            raise DataError(
                f"The reverse prompt {template!r} has {count} places '{{}}' for the object; it needs exactly one.",
                "Write {} where the target goes, e.g. 'The city of {} is the home of the'.",
            )
