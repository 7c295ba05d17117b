"""What a visitor fills in, as facts: fields as texts, of which the page leaves many empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from obverse.core import Case, DataError
from obverse.recipes.facts import gather_cases
from obverse.recipes.statements import Statement

LONGEST = 4000
"""Characters of a line, at most: everybody waits for whoever asks a whole book."""
MOST = 100
"""Lines of a field, at most."""


def lines(text: str | None) -> list[str]:
    """Return the lines of a field that are not empty."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class FactForm:
    """A fact with its probes; everything may be empty, probes stand one a line.

    Attributes:
        subject: Whom or what it is about; guessed from the prompt if empty.
        prompt: With ``{}`` for the subject, or with the subject itself.
        target: The answer to write, or to ask for.
        true: The answer it is compared with.
        paraphrases: Other ways to ask; ``{}`` is the subject.
        neighbours: Facts that must not change, as ``prompt => answer``.
        reverse: Questions turned round; ``{}`` is the target.
        queries: Open questions, answered freely.
    """

    subject: str = ""
    prompt: str = ""
    target: str = ""
    true: str = ""
    paraphrases: str = ""
    neighbours: str = ""
    reverse: str = ""
    queries: str = ""

    @classmethod
    def of(cls, **fields: str | None) -> FactForm:
        """Make a form of fields as the page gives them: an untouched one is None."""
        return cls(**{name: text or "" for name, text in fields.items()})

    @property
    def bare(self) -> bool:
        """Whether it is a prompt and nothing else."""
        return not (self.subject.strip() or self.target.strip()) and "{}" not in self.prompt

    def text(self) -> str:
        """Return the prompt.

        Raises:
            DataError: If it is empty, or a field too long.
        """
        for field in astuple(self):
            check_length(field)
        if not self.prompt.strip():
            raise DataError("The prompt is empty.", "Write a text that ends where the answer starts.")
        return self.prompt.strip()

    def statement(self) -> Statement:
        """Return the prompt with its subject; raises as `Statement.of` does."""
        return Statement.of(self.text(), self.subject.strip() or None)

    def case(self) -> Case:
        """Return the fact with its probes; those of a known relation are made where none are given.

        Raises:
            DataError: If the prompt or the answer is empty, or a probe malformed.
            SubjectNotFound: If the subject is not in the prompt, or cannot be guessed.
        """
        if not self.target.strip():
            raise DataError("The answer is empty.", "Write the answer: a word or a name that may follow the prompt.")
        asked = self.statement()
        return gather_cases(
            subject=asked.subject,
            prompt=asked.prompt,
            target=self.target.strip(),
            target_true=self.true.strip() or None,
            paraphrases=lines(self.paraphrases),
            neighbours=lines(self.neighbours),
            reverse=lines(self.reverse),
            queries=lines(self.queries),
        )[0]


def check_length(text: str) -> None:
    """Refuse what would keep everybody waiting.

    Raises:
        DataError: If there are too many lines, or one is too long.
    """
    found = text.splitlines()
    if len(found) > MOST:
        raise DataError(f"A field has {len(found):,} lines; it may have {MOST}.", "For many, use obverse bench.")
    if longest := max((len(line) for line in found if len(line) > LONGEST), default=0):
        raise DataError(f"A text has {longest:,} characters; it may have {LONGEST:,}.", "Ask something shorter.")


def layers_of(text: str) -> list[int] | str | None:
    """Return the layers named in a field: numbers apart by spaces or commas, ``auto``, or None if it is empty.

    Raises:
        DataError: If it holds something else.
    """
    words = text.replace(",", " ").split()
    if not words:
        return None
    if words == ["auto"]:
        return "auto"
    if wrong := [word for word in words if not word.isdecimal()]:
        raise DataError(f"{wrong[0]!r} is no layer.", "Give numbers from 0, e.g. 5 or 5 6; or auto; or nothing.")
    return [int(word) for word in words]


def overrides_of(text: str) -> Sequence[str]:
    """Return the settings of a field, ``key=value`` each.

    Raises:
        DataError: If a line is something else.
    """
    found = lines(text)
    if wrong := [line for line in found if "=" not in line]:
        raise DataError(f"{wrong[0]!r} is no setting.", "Write one a line, as name=value, e.g. steps=30.")
    return found
