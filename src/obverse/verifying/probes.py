"""Ask a model the probes of a case, under several protocols side by side, because they disagree.

`success` and `magnitude` are ROME's (section 4.1; rome.md 5.2) on probabilities per token; `token_accuracy` and
`all_tokens` are teacher-forced, as in zsRE; `generated` is what a user sees: greedy text that starts with the answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.core import KINDS, Case, Kind, Probe
from obverse.measuring.generation import greedy
from obverse.measuring.likelihood import Around, Likelihood, likelihoods, unchanged

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

GENERATED_TOKENS = 8
"""Tokens generated to see whether the answer comes by itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model makes of one probe.

    Attributes:
        kind: What the probe asks about.
        probe: The question.
        probability: Of the expected answer, per token (geometric mean), 0 to 1.
        logprob: Of the whole expected answer, in nats.
        alternative: Probability per token of the rejected answer, or of the expected one after the contrast; None where
            the probe has neither.
        rank: Place of the expected answer's first token among all tokens, from 1.
        token_accuracy: Share of the expected answer's tokens that are the arg-max (teacher-forced).
        all_tokens: Whether all of them are.
        generated: The model's own greedy continuation.
        exact: Whether it starts with the expected answer as a whole.
    """

    kind: Kind
    probe: Probe
    probability: float
    logprob: float
    alternative: float | None
    rank: int
    token_accuracy: float
    all_tokens: bool
    generated: str
    exact: bool

    @property
    def success(self) -> bool | None:
        """Whether the expected answer is likelier than the alternative; a tie fails."""
        return None if self.alternative is None else self.probability > self.alternative

    @property
    def magnitude(self) -> float | None:
        """By how much, in probability."""
        return None if self.alternative is None else self.probability - self.alternative


def ask(
    lm: LanguageModel,
    cases: Sequence[Case],
    label: str = "",
    *,
    tokens: int | None = GENERATED_TOKENS,
    variants: Sequence[int | None] | None = None,
    around: Around = unchanged,
) -> list[tuple[Answer, ...]]:
    """Ask the probes of some cases in shared batches.

    Args:
        lm: The model, as it is (edited or not).
        cases: Cases with their probes.
        label: Name of the progress bar; empty for none.
        tokens: Tokens generated after each question; None is as many as the right answer has, and one more.
        variants: Which variant of the model answers each case; all one and the same if not given.
        around: Makes the rows of a forward pass those of their variants.

    Returns:
        The answers of each case, by kind in the order of `KINDS`.
    """
    wanted = variants or [None] * len(cases)
    probes: list[tuple[int, Kind, Probe]] = [
        (i, kind, p) for i, case in enumerate(cases) for kind in KINDS for p in case.probes.get(kind, ())
    ]
    own = [(wanted[i], p.text, p.expected) for i, _, p in probes]
    others = [(wanted[i], *other) if (other := rival(p)) else None for i, _, p in probes]
    asked = list(dict.fromkeys([*own, *(other for other in others if other)]))
    pairs = [(text, answer) for _, text, answer in asked]
    scored = likelihoods(lm, pairs, label, variants=[variant for variant, _, _ in asked], around=around)
    found = dict(zip(asked, scored, strict=True))
    lengths: dict[tuple[int | None, str], int] = {}
    for key in own:
        needed = len(found[key].logprobs) + 1 if tokens is None else tokens
        lengths[key[:2]] = max(needed, lengths.get(key[:2], 0))
    replies = greedy(
        lm,
        [text for _, text in lengths],
        [*lengths.values()],
        variants=[variant for variant, _ in lengths],
        around=around,
    )
    written = dict(zip(lengths, replies, strict=True))
    answers: list[list[Answer]] = [[] for _ in cases]
    for (i, kind, probe), key, other in zip(probes, own, others, strict=True):
        answers[i].append(_answer(kind, probe, found[key], found[other] if other else None, written[key[:2]]))
    return [tuple(row) for row in answers]


def rival(probe: Probe) -> tuple[str, str] | None:
    """Return the prompt and continuation that a probe's right answer is measured against; None if there is none."""
    if probe.rejected:
        return probe.text, probe.rejected
    return (probe.contrast, probe.expected) if probe.contrast else None


def _answer(kind: Kind, probe: Probe, own: Likelihood, other: Likelihood | None, generated: str) -> Answer:
    return Answer(
        kind=kind,
        probe=probe,
        probability=math.exp(own.mean),
        logprob=own.total,
        alternative=None if other is None else math.exp(other.mean),
        rank=own.rank,
        token_accuracy=sum(own.correct) / len(own.correct),
        all_tokens=all(own.correct),
        generated=generated,
        exact=starts_with(generated, probe.expected),
    )


def starts_with(text: str, answer: str) -> bool:
    """Return whether a text starts with an answer as a whole word, whatever the case and the space before it."""
    pattern = re.escape(answer.strip()) + r"(?!\w)"
    return re.match(r"\s*" + pattern, text, re.IGNORECASE) is not None
