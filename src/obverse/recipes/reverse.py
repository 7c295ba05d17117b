"""A statement turned round, and traced: of "A is B" the statement about B after which A would come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from obverse.core import ConfigError, DataError, Fact, SubjectNotFound
from obverse.data.relations import case_for, split_article
from obverse.data.subjects import guess_subject, occurrences
from obverse.locating.trace import CausalTrace
from obverse.locating.tracing import Skipped, TraceConfig
from obverse.measuring import top_tokens
from obverse.recipes.followed import Followed
from obverse.recipes.statements import Statement
from obverse.recipes.traced import refusal, traced

if TYPE_CHECKING:
    from obverse.locating.noise import Noise
    from obverse.model.language_model import LanguageModel

AUTO = "auto"
"""Asks for a reverse statement from the table of relations."""

ReverseAnswer: TypeAlias = Literal["subject", "own"]
"""What is followed in reverse: the forward subject, or the model's own likeliest next token."""

_ENDS_IN_ARTICLE = re.compile(r"\b(?:the|an|a)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Turned:
    """The trace of a statement turned round, if there is one.

    Attributes:
        trace: The trace.
        followed: What was followed, where that was the forward subject.
        notes: What is to be said of it, in sentences.
    """

    trace: CausalTrace | None = None
    followed: Followed | None = None
    notes: tuple[str, ...] = ()


def turn(lm: LanguageModel, fact: Fact, text: str, answer: ReverseAnswer, *, own: bool) -> Statement:
    """Turn a fact round before the work begins, so that a mistake shows at once.

    Args:
        lm: The model.
        fact: The fact.
        text: The reverse statement, see `reverse_statement`.
        answer: What is to be followed there.
        own: Whether the answer to the fact is the model's own likeliest token, not the fact's target.

    Raises:
        DataError: If the model's answer is only space.
        ObverseError: If there is no such statement.
    """
    if own:
        (likeliest,) = top_tokens(lm, fact.text, 1)
        if not likeliest.text.strip():
            raise DataError(
                f"The model answers {likeliest.text!r}, which is only space, so the statement has no reverse.",
                "Follow another answer with --answer.",
            )
        fact = replace(fact, target=likeliest.text.strip())
    return reverse_statement(fact, text, answer)


def trace_reverse(
    lm: LanguageModel, turned: Statement, answer: ReverseAnswer, config: TraceConfig, noise: Noise
) -> Turned:
    """Trace a statement that was turned round.

    Args:
        lm: The model.
        turned: The statement, from `turn`.
        answer: What is followed.
        config: Settings.
        noise: The noise of the forward statement.

    Raises:
        ObverseError: If it cannot be traced.
    """
    follow = answer == "subject"
    label = "tracing the reverse"
    (found,) = traced(lm, [turned.fact], config, follow_target=follow, noise=noise, label=label)
    if isinstance(found, Skipped):
        raise refusal(found)
    notes = [turned.note] if turned.note else []
    followed = Followed.of(lm, found) if follow else None
    if followed and not followed.known:
        notes.append(f"The model does not know the fact in reverse: that is the reversal curse. {followed.caution}")
    said, name = found.answer.strip(), turned.fact.target
    if not followed and not (said and name.startswith(said)):
        notes.append(
            f"In reverse the model answers {said or found.answer!r}, not {name!r}: its map shows where that answer "
            "comes from."
        )
    return Turned(found, followed, tuple(notes))


def reverse_statement(fact: Fact, text: str, answer: ReverseAnswer = "subject") -> Statement:
    """Turn a fact round: the answer is the subject now, and the subject the answer it should have.

    Args:
        fact: The fact; its target is the answer.
        text: The reverse statement, with the answer or ``{}`` in it; ``auto`` takes one from the table of relations.
        answer: What is to be followed. For ``subject`` the statement has to end where the subject's name starts, so
            where the name is said with an article ("the Space Needle") and the text has none, " the" is added to it.

    Raises:
        ConfigError: If ``auto`` is asked and the relation is not a known one.
        SubjectNotFound: If the statement has neither the answer nor anything that looks like a name.
    """
    name, article = split_article(fact)
    turned = _about(fact.target, _known_reverse(fact) if text == AUTO else text, name)
    if answer == "own" or not article or _ENDS_IN_ARTICLE.search(turned.prompt):
        return turned
    said = (
        "" if text == AUTO else f"{name!r} is said with an article, so the reverse statement is made to end in 'the'."
    )
    return replace(turned, prompt=f"{turned.prompt.rstrip()} the", note=f"{turned.note} {said}".strip())


def _about(entity: str, text: str, expect: str) -> Statement:
    """Find the entity in a reverse statement, or what is in its place."""
    if "{}" in text:
        return Statement.of(text, entity, expect)
    guess = guess_subject(text)
    if guess is not None and guess.startswith(entity):  # the token may be the beginning of a longer name
        return replace(Statement.of(text, guess, expect), note="")
    if occurrences(text, entity):
        return Statement.of(text, entity, expect)
    if guess is not None:
        note = f"The answer {entity!r} does not occur in the reverse statement; its subject is taken to be {guess!r}."
        return replace(Statement.of(text, guess, expect), note=note)
    raise SubjectNotFound(
        f"The answer {entity!r} does not occur in the reverse statement {text!r}.",
        "Write {} where the answer goes, e.g. --reverse '{} is the home of the'.",
    )


def _known_reverse(fact: Fact) -> str:
    forms: Sequence[str] = [probe.text for probe in case_for(fact).probes.get("reverse", ())]
    if not forms:
        raise ConfigError(
            f"No reverse statement is known for {fact.prompt!r}: its relation is not in the table.",
            "Write one, e.g. --reverse '{} is the home of the'; obverse list relations shows what is known.",
        )
    return forms[0]
