"""The statements a trace is about: a prompt with its subject, given or guessed."""

from __future__ import annotations

from dataclasses import dataclass

from obverse.core import Case, ConfigError, Fact, SubjectNotFound
from obverse.data.subjects import guess_subject, occurrences

ANY = "?"
"""Target of a fact whose answer is not known before it is traced."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A prompt to trace.

    Attributes:
        subject: Whom or what it is about.
        prompt: Template with one ``{}`` for the subject; ends where the answer starts.
        expect: The answer it should have; None for whatever the model says.
        relation: Name of the relation, if known.
        id: Name in a file of facts; empty for a single prompt.
        note: What was decided for the user: a guess, or which of two places was taken.
    """

    subject: str
    prompt: str
    expect: str | None = None
    relation: str | None = None
    id: str = ""
    note: str = ""

    @classmethod
    def of(cls, text: str, subject: str | None = None, expect: str | None = None) -> Statement:
        """Make a statement of a prompt, with ``{}`` or the subject in it.

        Args:
            text: The prompt.
            subject: The subject; guessed if None. Where it stands more than once, the first that is a word of its own
                is taken.
            expect: The answer it should have.

        Raises:
            SubjectNotFound: If the subject is not in the prompt, or cannot be guessed.
            DataError: If the prompt has more than one ``{}``, or the answer is empty.
        """
        name = subject if subject is not None else _guessed(text)
        fact = Fact.from_text(text, name, ANY if expect is None else expect)
        notes = [] if subject is not None else [f"The subject was not given: guessed {name!r} (say it with --subject)."]
        count = occurrences(fact.text, name)
        if count > 1:
            place = "at {}" if "{}" in text else "the first"
            notes.append(f"The subject {name!r} stands {count} times in the prompt; {place} is the one corrupted.")
        return cls(name, fact.prompt, expect, note=" ".join(notes))

    @classmethod
    def of_case(cls, case: Case) -> Statement:
        """Make a statement of a fact of a file; its target is the answer it should have."""
        return cls(case.fact.subject, case.fact.prompt, case.fact.target, case.fact.relation, case.id)

    @property
    def text(self) -> str:
        """The prompt with the subject filled in."""
        return self.prompt.replace("{}", self.subject)

    @property
    def fact(self) -> Fact:
        """The fact to trace; where no answer is expected, its target stands for whatever the model says."""
        return Fact(self.subject, self.prompt, ANY if self.expect is None else self.expect, relation=self.relation)


def _guessed(text: str) -> str:
    if "{}" in text:
        raise ConfigError(f"The prompt {text!r} has a place for a subject, but no subject is given.", "Add --subject.")
    found = guess_subject(text)
    if found is None:
        raise SubjectNotFound(
            f"No subject is given, and none can be guessed in {text!r}: no name begins with a capital.",
            "Say with --subject which part of the prompt is to be corrupted.",
        )
    return found
