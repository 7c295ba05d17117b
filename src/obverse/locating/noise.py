"""Noise that corrupts a subject: the rules of the reference, and the draws behind them (rome.md 1.2).

====== ==========================================================================================
rule   what is added to (or stands in place of) the subject's token embeddings
====== ==========================================================================================
0.1    Gaussian, standard deviation 0.1
s3     Gaussian, 3 sigma; sigma is the standard deviation of all embedding entries of many subjects; ``s`` is ``s1``
u0.5   uniform on [-0.5, 0.5]
m      Gaussian with the mean and covariance of the embeddings of plain text
t5     as ``m``, each vector scaled so that it follows Student's t with 5 degrees of freedom
====== ==========================================================================================

Draws are NumPy's ``RandomState(seed)``, seed 1 by default, so that a trace is the original's to rounding. Every prompt
whose subject has as many tokens sees the same draw, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from obverse.core import ConfigError
from obverse.data.corpus import corpus
from obverse.data.relations import known_subjects
from obverse.model.tokens import encode_all

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Distribution = Literal["normal", "uniform", "multivariate", "student"]

TEXTS, TEXT_TOKENS = 1000, 100
"""How many texts, and tokens of each, give the mean and covariance of ``m`` and ``t``."""

_RULES = "Use a number (absolute level), s3 (3 sigma), u0.5 (uniform), m (multivariate) or t5 (Student, 5 degrees)."


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """A rule with its numbers for one model.

    Attributes:
        rule: As it was given, e.g. ``s3``.
        distribution: What is drawn.
        level: What a draw is multiplied by; for ``s3`` 3 sigma.
        degrees: Degrees of freedom, of Student's t.
        mean: Mean of the embeddings of plain text (``m`` and ``t``).
        root: Symmetric square root of their covariance, (hidden, hidden).
    """

    rule: str
    distribution: Distribution
    level: float
    degrees: float = math.inf
    mean: Float64[Tensor, " hidden"] | None = None
    root: Float64[Tensor, "hidden hidden"] | None = None

    def draw(self, samples: int, tokens: int, hidden: int, seed: int = 1) -> Float64[Tensor, "samples tokens hidden"]:
        """Return the noise for a subject.

        Args:
            samples: Number of corrupted copies.
            tokens: Number of tokens of the subject.
            hidden: Size of an embedding.
            seed: Seed; the original's is 1.
        """
        state = np.random.RandomState(seed)
        shape = (samples, tokens, hidden)
        if self.distribution == "uniform":
            return torch.from_numpy(state.uniform(-1, 1, shape)) * self.level
        drawn = torch.from_numpy(state.randn(*shape))
        if self.mean is None or self.root is None:
            return drawn * self.level
        # Departs from the original: the symmetric root, not V sqrt(S); of the same law, and the same on every machine.
        vectors = drawn @ self.root + self.mean
        if self.distribution == "student":
            spread = np.random.RandomState(seed + 1).chisquare(self.degrees, samples * tokens)
            factors = torch.from_numpy(np.sqrt((self.degrees - 2) / spread))
            vectors = vectors * factors.reshape(samples, tokens, 1)
        return vectors * self.level


def noise_for(lm: LanguageModel, rule: str = "s3", subjects: Sequence[str] | None = None) -> Noise:
    """Resolve a noise rule on a model.

    Args:
        lm: The model.
        rule: See the table above.
        subjects: Whose embeddings give sigma; well-known subjects that come with the package if None.

    Raises:
        ConfigError: If there is no such rule, or its number is not positive.
    """
    head, number = _parse(rule)
    if head == "s":
        return Noise(rule, "normal", number * embedding_std(lm, known_subjects() if subjects is None else subjects))
    if head in ("m", "t"):
        mean, root = _text_embeddings(lm)
        return Noise(rule, "multivariate" if head == "m" else "student", 1.0, number, mean, root)
    return Noise(rule, "uniform" if head == "u" else "normal", number)


def check_rule(rule: str) -> None:
    """Check a rule without a model; raises as `noise_for` does."""
    _parse(rule)


def _parse(rule: str) -> tuple[str, float]:
    """Return the rule's letter, empty for an absolute level, and its number."""
    text = rule.strip()
    head = text[:1] if text[:1].isalpha() else ""
    rest = text[len(head) :]
    if head not in ("", "s", "u", "m", "t") or (head == "m" and rest) or (head in ("", "u", "t") and not rest):
        raise ConfigError(f"Unknown noise rule {rule!r}.", _RULES)
    if not rest:
        return head, 1.0 if head == "s" else math.inf
    try:
        number = float(rest)
    except ValueError as error:
        raise ConfigError(f"Unknown noise rule {rule!r}: {rest!r} is not a number.", _RULES) from error
    least = 2 if head == "t" else 0
    if not (math.isfinite(number) and number > least):
        raise ConfigError(f"The noise rule {rule!r} needs a number above {least}.", _RULES)
    return head, number


@torch.no_grad()
def embedding_std(lm: LanguageModel, subjects: Sequence[str]) -> float:
    """Return the standard deviation (unbiased) of all embedding entries of subjects, each tokenized alone.

    Departs from the original, whose models add no special tokens: they are left out, for a start token before each
    subject would count as often as there are subjects.

    Raises:
        ConfigError: If there is no subject.
    """
    rows = [
        token
        for encoded in encode_all(lm.tokenizer, subjects)
        for token, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)
        if end > start
    ]
    if not rows:
        raise ConfigError("No subject is given to measure sigma by.", "Give an absolute noise level, e.g. 0.1.")
    embedded = lm.model.get_input_embeddings()(torch.tensor([rows], device=lm.device))
    return float(embedded.float().std())


@torch.no_grad()
def _text_embeddings(lm: LanguageModel) -> tuple[Tensor, Tensor]:
    """Return mean and root of the covariance of the embeddings of plain text.

    Departs from the original in the text, which is WikiText there and what comes with the package here.
    """
    texts = list(islice(corpus("mixed", 1).texts(), TEXTS))
    ids = [token for encoded in encode_all(lm.tokenizer, texts) for token in encoded.ids[:TEXT_TOKENS]]
    embed = lm.model.get_input_embeddings()
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(ids), 4096):
        rows = embed(torch.tensor([ids[start : start + 4096]], device=lm.device))[0].double().cpu()
        count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
    mean = torch.as_tensor(total) / count
    covariance = (torch.as_tensor(squares) - count * torch.outer(mean, mean)) / (count - 1)
    values, vectors = torch.linalg.eigh(covariance)
    return mean, (vectors * values.clamp_min(0).sqrt()) @ vectors.T
