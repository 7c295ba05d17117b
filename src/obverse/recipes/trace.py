"""Trace where a model's answer to one prompt or several comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from obverse.core import DataError, Fact, UnknownName, build
from obverse.locating.noise import check_rule
from obverse.locating.trace import TRACE_KINDS, CausalTrace, TraceKind
from obverse.locating.tracing import Skipped, TraceConfig
from obverse.recipes.statements import Statement
from obverse.recipes.traced import refusal, traced

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@overload
def trace(
    lm: LanguageModel, fact: Fact | str, subject: str | None = None, *, follow_target: bool = False, **settings: Any
) -> CausalTrace: ...
@overload
def trace(
    lm: LanguageModel, fact: Sequence[Fact], subject: None = None, *, follow_target: bool = False, **settings: Any
) -> list[CausalTrace]: ...
def trace(
    lm: LanguageModel,
    fact: Fact | Sequence[Fact] | str,
    subject: str | None = None,
    *,
    follow_target: bool = False,
    **settings: Any,
) -> CausalTrace | list[CausalTrace]:
    """Trace where a model's answer to a prompt comes from.

    The answer followed is the model's own likeliest next token, whatever the fact's target, unless told otherwise.

    Args:
        lm: The model.
        fact: A fact, several (traced in shared batches), or a prompt.
        subject: Of a prompt: whom it is about; guessed if None.
        follow_target: Of facts: follow the first token of the target, whatever the model would say.
        settings: Fields of `TraceConfig`, e.g. ``kinds=("hidden",)``, ``samples=5``, ``noise="s2"``.

    Returns:
        One trace, or a list of them for several facts.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        SubjectNotFound: If the subject is not in the prompt, or cannot be guessed.
        DataError: If a prompt cannot be traced, e.g. one longer than the context.
        ObverseError: If the model overflows in its type, so that there are no numbers.

    Example:
        >>> found = obverse.trace(lm, "The Space Needle is in the city of", "Space Needle")
        >>> found.strongest(3)
    """
    config = make_config(settings)
    if isinstance(fact, str):
        if follow_target:
            raise DataError("A prompt has no target to follow.", "Give a Fact, with the answer as its target.")
        facts = [Statement.of(fact, subject).fact]
    elif subject is not None:
        raise DataError("A subject is given beside a fact, which has its own.", "Give a subject with a prompt only.")
    else:
        facts = [fact] if isinstance(fact, Fact) else list(fact)
    traces: list[CausalTrace] = []
    for found in traced(lm, facts, config, follow_target=follow_target):
        if isinstance(found, Skipped):
            raise refusal(found)
        traces.append(found)
    return traces[0] if isinstance(fact, (str, Fact)) else traces


def make_config(settings: Mapping[str, Any]) -> TraceConfig:
    """Build the settings of a trace, every mistake named.

    Raises:
        UnknownName: If there is no such kind, with near matches.
        ConfigError: If another setting is unknown or out of range, or there is no such noise rule.
    """
    for kind in settings.get("kinds", ()):
        if kind not in TRACE_KINDS:
            raise UnknownName.among("kind of state", str(kind), TRACE_KINDS)
    config = build(TraceConfig, settings)
    check_rule(config.noise)
    return config


def kinds_of(kinds: Sequence[str], sever: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what to restore, in order, once each: severed modules bring the whole states they are compared with."""
    wanted = [*kinds, *(["hidden"] if sever else []), *(f"severed-{module}" for module in sever)]
    known: list[TraceKind] = [kind for kind in TRACE_KINDS if kind in wanted]
    return (*known, *dict.fromkeys(kind for kind in wanted if kind not in TRACE_KINDS))
