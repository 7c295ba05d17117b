"""Trace facts as a recipe needs them: each trace names its answer and is finite, each refusal is an error to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from obverse.core import DataError, Fact, ObverseError, SubjectNotFound
from obverse.locating.noise import Noise
from obverse.locating.trace import CausalTrace
from obverse.locating.tracing import Reason, Skipped, TraceConfig, first_token, trace_all

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_HINTS: dict[Reason, str] = {
    "another answer": "Leave the expected answer out to trace what the model says instead.",
    "subject not found": "Check the subject for stray characters.",
    "prompt longer than the context": "Shorten the prompt, or take a model with a longer context.",
}


def traced(
    lm: LanguageModel,
    facts: Sequence[Fact],
    config: TraceConfig,
    *,
    expect: bool = False,
    follow_target: bool = False,
    noise: Noise | None = None,
    label: str = "tracing",
) -> list[CausalTrace | Skipped]:
    """Trace facts; see `trace_all`.

    Args:
        lm: The model.
        facts: The facts.
        config: Settings.
        expect: Skip facts whose target the model does not say.
        follow_target: Follow the first token of each fact's target, not the model's own likeliest token.
        noise: The noise, if it was resolved already.
        label: Name of the progress bar.

    Returns:
        One trace a fact, or why there is none. Where the model's own answer was followed, that is the fact's target.

    Raises:
        ObverseError: If the numbers of a trace are not finite.
    """
    follow = [first_token(lm, fact) for fact in facts] if follow_target else None
    found = trace_all(lm, facts, config, expect=expect, follow=follow, noise=noise, label=label)
    return [_named(one) if isinstance(one, CausalTrace) and not (expect or follow_target) else one for one in found]


def refusal(skipped: Skipped) -> ObverseError:
    """Return the error that a skipped prompt is where it was the only one."""
    message = f"{short(skipped.fact.text)!r} cannot be traced: {skipped.reason} ({skipped.detail})."
    error = SubjectNotFound if skipped.reason == "subject not found" else DataError
    return error(message, _HINTS[skipped.reason])


def short(text: str) -> str:
    """Return a prompt, cut if it is too long for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _named(found: CausalTrace) -> CausalTrace:
    """Return a trace whose fact names the answer that was followed; as in code where that is only space."""
    answer = found.answer.strip() or repr(found.answer)
    return replace(found, fact=replace(found.fact, target=answer, target_true=None))
