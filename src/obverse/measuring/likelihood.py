"""How likely a model finds a continuation: log-probabilities, ranks and accuracy, longest first, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from obverse.core import track
from obverse.model.partial import head_sees
from obverse.model.tokens import Joined, encode, join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

TOKENS_PER_BATCH = 1024
"""Tokens, gaps included, in one forward pass."""

LOGITS_PER_BATCH = 1 << 26
"""Entries of one logits matrix: a quarter of a gigabyte in float32."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How a model takes one continuation of one prompt.

    Attributes:
        logprobs: Natural-log probability of each token of the continuation, given what stands before it.
        correct: Whether each token is the arg-max at its place (teacher-forced).
        rank: How many tokens are likelier than the continuation's first one, plus 1.
    """

    logprobs: tuple[float, ...]
    correct: tuple[bool, ...]
    rank: int

    @property
    def total(self) -> float:
        """Log-probability of the whole continuation, in nats."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Log-probability per token, in nats; its negative is ROME's NLL (rome.md 5.1)."""
        return self.total / len(self.logprobs)


@dataclass(frozen=True, slots=True)
class TopToken:
    """One of the likeliest next tokens."""

    id: int
    text: str
    probability: float


@torch.no_grad()
def likelihoods(lm: LanguageModel, pairs: Sequence[tuple[str, str]], label: str = "") -> list[Likelihood]:
    """Score continuations of prompts.

    Args:
        lm: The model.
        pairs: (prompt, continuation); a space is put between where the script wants one.
        label: Name of the progress bar; empty for none.

    Returns:
        One result a pair, in the order given.
    """
    joined = join_all(lm.tokenizer, pairs)
    order = sorted(range(len(pairs)), key=lambda i: -len(joined[i].encoded.ids))
    batches = _batches([joined[i] for i in order], lm.vocab)
    results: dict[int, Likelihood] = {}
    done = 0
    for size in track(batches, label) if label else batches:
        chosen = order[done : done + size]
        done += size
        results.update(zip(chosen, _score(lm, [joined[i] for i in chosen]), strict=True))
    return [results[i] for i in range(len(pairs))]


def _batches(rows: Sequence[Joined], vocab: int) -> list[int]:
    """Return batch sizes that bound the tokens and the logits of a batch of rows sorted longest first."""
    sizes: list[int] = []
    size = logit_rows = 0
    width = 0
    for row in rows:
        width = width if size else len(row.encoded.ids)
        if size and (
            (size + 1) * width > TOKENS_PER_BATCH or (logit_rows + len(row.target)) * vocab > LOGITS_PER_BATCH
        ):
            sizes.append(size)
            size, logit_rows, width = 0, 0, len(row.encoded.ids)
        size, logit_rows = size + 1, logit_rows + len(row.target)
    return [*sizes, size] if size else sizes


def _score(lm: LanguageModel, rows: Sequence[Joined]) -> list[Likelihood]:
    padded = pad([row.encoded.ids[:-1] for row in rows], pad_id(lm.tokenizer), lm.device)
    where = [(i, column - 1) for i, row in enumerate(rows) for column in row.target]
    targets = torch.tensor([rows[i].encoded.ids[column + 1] for i, column in where], device=lm.device)
    logits = _logits_at(lm, padded.ids, padded.mask, where).float()
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None])
    ranks = ((logprobs > chosen).sum(-1) + 1).tolist()
    values, correct = chosen[:, 0].tolist(), (logprobs.argmax(-1) == targets).tolist()
    out: list[Likelihood] = []
    start = 0
    for row in rows:
        end = start + len(row.target)
        out.append(Likelihood(tuple(values[start:end]), tuple(correct[start:end]), ranks[start]))
        start = end
    return out


def _logits_at(
    lm: LanguageModel, ids: torch.Tensor, mask: torch.Tensor, where: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Return logits at chosen (row, column) places only; the vocabulary projection is the costliest part of all."""
    rows = torch.tensor([row for row, _ in where], device=ids.device)
    columns = torch.tensor([column for _, column in where], device=ids.device)
    with head_sees(lm.model, rows, columns):
        return lm.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0]


@torch.no_grad()
def top_tokens(lm: LanguageModel, prompt: str, k: int = 5) -> list[TopToken]:
    """Return the k likeliest next tokens, likeliest first."""
    encoded = encode(lm.tokenizer, prompt)
    ids = torch.tensor([encoded.ids], device=lm.device)
    logits = _logits_at(lm, ids, torch.ones_like(ids), [(0, len(encoded.ids) - 1)])[0].float()
    values, indices = logits.softmax(-1).topk(min(k, logits.shape[-1]))
    return [TopToken(i, lm.decode([i]), p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]
