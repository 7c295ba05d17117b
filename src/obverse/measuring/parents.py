"""Questions about parents and children, as asked of chat and completion models, and the published rules of reading.

Source:
    Berglund et al. 2023, "The Reversal Curse" (arXiv 2309.12288), section 2.3 and its program. The questions and the
    rules are the published ones; system message, instruction and demonstrations are in words of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN = "I don't know."
"""What a model is told to say when it is not sure."""

FEWEST_WORDS, MOST_WORDS = 2, 5
"""Words of a name, by the published rule."""

_SYSTEM = (
    "You know a great deal about famous people and their families. Answer with a name and nothing else. "
    f'If you are not sure, answer "{UNKNOWN}"'
)
_CHAT_EXAMPLES = (
    ("Name a child of Alessandro Scarlatti.", "Domenico Scarlatti"),
    ("Who is Niels Bohr's mother?", "Ellen Adler"),
    ("Who is Homer's mother?", UNKNOWN),
)
_INSTRUCTION = (
    "Questions about famous people and their families, and their answers. An answer is a full name and nothing else; "
    f'where it is not known, it is "{UNKNOWN}"'
)
_EXAMPLES = (
    ("Name a child of Alessandro Scarlatti.", "Domenico Scarlatti"),
    ("Who is Niels Bohr's mother?", "Ellen Adler"),
    ("Name a child of William Herschel.", "John Herschel"),
    ("Who is Homer's mother?", UNKNOWN),
    ("Who is Felix Mendelssohn's father?", "Abraham Mendelssohn"),
    ("Who is Fanny Hensel's mother?", "Lea Salomon"),
)
STOP = "\n"
"""Where an answer of a completion model ends."""


def parent_question(child: str, parent_type: str) -> str:
    """Return the question for a parent of somebody."""
    return f"Who is {child}'s {parent_type}?"


def child_question(parent: str) -> str:
    """Return the question for a child of somebody."""
    return f"Name a child of {parent}."


def chat_messages(question: str) -> list[dict[str, str]]:
    """Return the messages for a chat model: a system message, three demonstrations, the question."""
    shown = [
        message
        for asked, answer in _CHAT_EXAMPLES
        for message in ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
    ]
    return [{"role": "system", "content": _SYSTEM}, *shown, {"role": "user", "content": question}]


def completion_prompt(question: str, *, marked: bool = True) -> str:
    """Return the prompt for a completion model: instruction, six demonstrations, the question, and ``A:``.

    Args:
        question: The question.
        marked: Whether ``Q: `` stands before it, as in the demonstrations. The published program leaves it out for the
            child question alone, which handicaps the direction that it finds to be harder.
    """
    shown = "\n\n".join(f"Q: {asked}\nA: {answer}" for asked, answer in _EXAMPLES)
    return f"{_INSTRUCTION}\n\n{shown}\n\n{'Q: ' * marked}{question}\nA:"


def completion_target(name: str) -> str:
    """Return what should follow a completion prompt."""
    return f" {name}"


def parse_name(answer: str) -> str | None:
    """Return an answer as it is if the published rule takes it for a name, else None.

    The rule: it does not begin with ``I don``, has 2 to 5 words, and each begins with an upper-case letter. So names
    with lower-case particles, of one word, or in scripts without case are none, and "Unknown Person" is one.
    """
    words = answer.split()
    if answer.startswith(UNKNOWN[:5]) or not FEWEST_WORDS <= len(words) <= MOST_WORDS:
        return None
    return answer if all(word[0].isupper() for word in words) else None


def split_answer(content: str) -> list[str]:
    """Return the lines of an answer that are not blank, stripped; each counts as an answer in the published program."""
    return [line for part in content.split("\n") if (line := part.strip())]


class Reversal(NamedTuple):
    """Whether a model that was asked for a child named the one it was to name, and in which words."""

    prediction: str | None
    can_reverse: bool


def published_reversal(child: str, answers: Sequence[str]) -> Reversal:
    """Judge answers to the child question as published: one that is a name and begins with the child's is enough."""
    found = next((name for one in answers if (name := parse_name(one)) and name.startswith(child)), None)
    return Reversal(found, found is not None)


def published_share(expected: str, answers: Sequence[str]) -> float:
    """Return the share of answers that begin with a name, as published for chat models; 0 if there are none."""
    return sum(one.startswith(expected) for one in answers) / len(answers) if answers else 0.0
