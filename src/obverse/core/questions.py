"""Questions with several right answers, and what an edit entails: tests that an edited model should pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Criterion = Literal[
    "logical-generalization", "compositionality-1", "compositionality-2", "subject-aliasing", "forgetfulness",
    "relation-specificity", "multi-hop", "hops",
]  # fmt: skip
"""What a test asks. RippleEdits: what follows by logic (siblings, inverse relations); chains that go on from the new
object; chains of other subjects that run through this one; the subject under other names; other objects of the
relation, which stay; other relations of the subject, which stay. MQuAKE: a question that needs the whole chain; all
single facts of the chain."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answers.

    Attributes:
        text: The question, or the beginning of a statement.
        answers: Each answer in all its names; a reply is right if it has a name of *every* answer. Without answers
            none is.
    """

    text: str
    answers: tuple[tuple[str, ...], ...]

    def answered_by(self, reply: str) -> bool:
        """Say whether a reply has a name of each answer, as words of their own, whatever the capitals."""
        return bool(self.answers) and all(any(_mentions(reply, name) for name in names) for names in self.answers)


def _mentions(reply: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.strip())}(?!\w)", reply, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Consequence:
    """A test of what has to change with an edit, or to stay.

    Attributes:
        criterion: What it asks.
        questions: Asked of the edited model.
        any_of: Whether one right reply is enough; else all have to be right.
        conditions: Asked of the *unedited* model: only if it answers all of them, the test means something.
    """

    criterion: Criterion
    questions: tuple[Question, ...]
    any_of: bool
    conditions: tuple[Question, ...] = ()

    def counts(self, before: Callable[[str], str]) -> bool:
        """Say whether the unedited model knows what the test relies on; ``before`` gives its reply to a text."""
        return all(question.answered_by(before(question.text)) for question in self.conditions)

    def passed(self, after: Callable[[str], str]) -> bool:
        """Say whether the edited model passes; ``after`` gives its reply to a text."""
        right = (question.answered_by(after(question.text)) for question in self.questions)
        return any(right) if self.any_of else all(right)
