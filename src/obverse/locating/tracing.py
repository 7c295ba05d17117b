"""Causal tracing: which states carry an answer? (Meng et al. 2022, arXiv 2202.05262, section 2; rome.md 1).

The subject of a prompt is corrupted with noise, and single states are restored to what they were without it. A state
that brings the answer back carries what the answer needs. For each token t and layer l

    IE(t, l) = P*, clean state at (t, l) [answer] - P* [answer]            (indirect effect)

where P* is the mean over noise samples of the probability after a corrupted subject.

Exact, and as little work as that takes: a cell runs only the layers above it and the tokens from its own on, and asks
only for the answer's probability at the last token. See `staged` for how cells climb together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import Field

from obverse.core import Config, Fact, ObverseError, Progress, SubjectNotFound
from obverse.locating._runs import Statement
from obverse.locating._tracer import Tracer
from obverse.locating.noise import Noise, noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.measuring import top_tokens
from obverse.model.tokens import encode, join

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class TraceConfig(Config):
    """Settings of a causal trace. Defaults are the reference's (rome.md 1)."""

    kinds: Annotated[tuple[TraceKind, ...], Field(min_length=1)] = ("hidden", "mlp", "attn")
    """What is restored: hidden (block outputs), mlp and attn (windows of writes), severed-mlp, severed-attn."""
    window: Annotated[int, Field(ge=1)] = 10
    """Layers of a window; clipped at the first and last layer."""
    samples: Annotated[int, Field(ge=1)] = 10
    """Noise samples; probabilities are means over them."""
    noise: str = "s3"
    """Noise rule: 0.1 (absolute), s3 (3 sigma), u0.5 (uniform), m (multivariate), t5 (Student's t)."""
    replace: bool = False
    """Whether noise stands in place of the subject's embeddings, not on top of them."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the noise."""
    memory: Annotated[float, Field(gt=0)] = 3.0
    """Gigabytes to use at most, beyond the model."""


Reason: TypeAlias = Literal["another answer", "subject not found", "prompt longer than the context"]
"""Why a fact is not traced."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A fact that was not traced.

    Attributes:
        fact: The fact.
        reason: Why, in words that can be counted.
        detail: What was found.
    """

    fact: Fact
    reason: Reason
    detail: str


def trace_all(
    lm: LanguageModel,
    facts: Sequence[Fact],
    config: TraceConfig | None = None,
    *,
    expect: bool = False,
    follow: Sequence[int | None] | None = None,
    noise: Noise | None = None,
    label: str = "tracing",
) -> list[CausalTrace | Skipped]:
    """Trace facts, several in a batch where memory allows.

    Args:
        lm: The model.
        facts: The statements; of each, prompt and subject count.
        config: Settings.
        expect: Skip facts to which the model's likeliest next token is not the first token of the fact's target. (The
            original compares the token's text with the whole target; that suffices here too.)
        follow: For each fact the token whose probability is followed; the model's own likeliest where None. See
            `first_token`.
        noise: The noise, where the rule was resolved already; else the config's rule is, on the model.
        label: Name of the progress bar; empty for none.

    Returns:
        One trace a fact, in the order given, or why there is none.

    Raises:
        ConfigError: If the noise rule is unknown, or the memory does not suffice for one prompt.
        ObverseError: If probabilities are not finite, as where float16 overflows.
    """
    config = config or TraceConfig()
    chosen = [None] * len(facts) if follow is None else follow
    found: list[CausalTrace | Skipped | Statement] = [
        _statement(lm, fact, expect, token) for fact, token in zip(facts, chosen, strict=True)
    ]
    todo = [(i, one) for i, one in enumerate(found) if isinstance(one, Statement)]
    if not todo:
        return [one for one in found if not isinstance(one, Statement)]
    noise = noise or noise_for(lm, config.noise)
    todo.sort(key=lambda pair: len(pair[1].ids))  # rows of a batch are padded to its longest
    tracer = Tracer(lm, config, noise, [one for _, one in todo])
    with Progress(label, tracer.work) as progress:
        tracer.run(progress)
    for place, (i, _) in enumerate(todo):
        made = tracer.result(place, facts[i])
        check_finite(made, lm)
        found[i] = made
    return [one for one in found if not isinstance(one, Statement)]


def first_token(lm: LanguageModel, fact: Fact) -> int:
    """Return the first token of a fact's target as it follows the prompt."""
    joined = join(lm.tokenizer, fact.text, fact.target)
    return joined.encoded.ids[joined.target.start]


def _statement(lm: LanguageModel, fact: Fact, expect: bool, follow: int | None) -> Statement | Skipped:
    encoded = encode(lm.tokenizer, fact.text)
    if lm.context is not None and len(encoded.ids) > lm.context:
        detail = f"{len(encoded.ids)} tokens; {lm.name} reads at most {lm.context}"
        return Skipped(fact, "prompt longer than the context", detail)
    try:
        subject = encoded.tokens_of(*fact.span)
    except SubjectNotFound as error:
        return Skipped(fact, "subject not found", error.message)
    if follow is not None and not expect:
        return Statement(encoded.ids, subject, follow)
    (own,) = top_tokens(lm, fact.text, 1)
    if expect and own.id != first_token(lm, fact) and own.text.strip() != fact.target.strip():
        return Skipped(fact, "another answer", f"{own.text!r}, not {fact.target!r}")
    return Statement(encoded.ids, subject, own.id if follow is None else follow)


def check_finite(trace: CausalTrace, lm: LanguageModel) -> None:
    """Refuse a trace with numbers that are not finite.

    Raises:
        ObverseError: If there is one.
    """
    tables = trace.restored.values()
    if math.isfinite(trace.clean + trace.corrupted) and all(bool(table.isfinite().all()) for table in tables):
        return
    dtype = str(lm.dtype).removeprefix("torch.")
    wider = "float32" if lm.dtype == torch.bfloat16 else "bfloat16 or float32"
    text = trace.fact.text if len(trace.fact.text) <= 80 else f"{trace.fact.text[:79]}…"
    raise ObverseError(
        f"The trace of {text!r} has probabilities that are no numbers: {lm.name} overflows in {dtype}.",
        "The weights themselves hold them, or the noise is far too large."
        if lm.dtype == torch.float32
        else f"Load the model in {wider}, e.g. with --dtype float32.",
    )
