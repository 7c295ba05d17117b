"""How likely a model finds a continuation: log-probabilities, ranks and accuracy, longest first, in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
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

Around = Callable[[Sequence[int | None]], AbstractContextManager[None]]
"""Opens a context around one forward pass, given the variant of the model that each of its rows wants: None is the
model as it is, a number e.g. one of several edits (`obverse.editing.rowwise`)."""


def unchanged(variants: Sequence[int | None]) -> AbstractContextManager[None]:
    """Leave the model as it is."""
    return nullcontext()


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

    @property
    def probability(self) -> float:
        """Probability per token (geometric mean), 0 to 1."""
        return math.exp(self.mean)


@dataclass(frozen=True, slots=True)
class TopToken:
    """One of the likeliest next tokens."""

    id: int
    text: str
    probability: float


def likelihoods(
    lm: LanguageModel,
    pairs: Sequence[tuple[str, str]],
    label: str = "",
    *,
    variants: Sequence[int | None] | None = None,
    around: Around = unchanged,
) -> list[Likelihood]:
    """Score continuations of prompts. Pairs that read the same tokens share a row of a batch.

    Args:
        lm: The model.
        pairs: (prompt, continuation); a space is put between where the script wants one.
        label: Name of the progress bar; empty for none.
        variants: Which variant of the model answers each pair; all one and the same if not given.
        around: Makes the rows of a forward pass those of their variants, see `Around`.

    Returns:
        One result a pair, in the order given.
    """
    return likelihoods_of(lm, join_all(lm.tokenizer, pairs), label, variants=variants, around=around)


@torch.no_grad()
def likelihoods_of(
    lm: LanguageModel,
    joined: Sequence[Joined],
    label: str = "",
    *,
    variants: Sequence[int | None] | None = None,
    around: Around = unchanged,
) -> list[Likelihood]:
    """Return `likelihoods` of pairs that are tokens already; before each target stands one token at least."""
    rows = _rows(joined, variants or [None] * len(joined))
    batches = _batches(rows, lm.vocab)
    results: dict[int, Likelihood] = {}
    for batch in track(batches, label) if label else batches:
        with around([row.variant for row in batch]):
            results.update(_score(lm, batch))
    return [results[i] for i in range(len(joined))]


@dataclass(frozen=True, slots=True)
class _Row:
    """Tokens to read once, and the pairs that are scored on them.

    Attributes:
        ids: Token ids, without the last of the continuation, which nothing follows.
        variant: Which variant of the model reads them.
        targets: Place of a pair → its continuation's (column to read, token that should follow).
    """

    ids: tuple[int, ...]
    variant: int | None
    targets: dict[int, list[tuple[int, int]]]

    @property
    def columns(self) -> list[int]:
        """The columns to read, each once."""
        return sorted({column for target in self.targets.values() for column, _ in target})


def _rows(joined: Sequence[Joined], variants: Sequence[int | None]) -> list[_Row]:
    """Return the rows to read, longest first."""
    rows: dict[tuple[int | None, tuple[int, ...]], _Row] = {}
    for place, (one, variant) in enumerate(zip(joined, variants, strict=True)):
        ids = one.encoded.ids
        row = rows.setdefault((variant, ids[:-1]), _Row(ids[:-1], variant, {}))
        row.targets[place] = [(column - 1, ids[column]) for column in one.target]
    return sorted(rows.values(), key=lambda row: -len(row.ids))


def _batches(rows: Sequence[_Row], vocab: int) -> list[list[_Row]]:
    """Cut rows, sorted longest first, into batches that bound the tokens and the logits of each."""
    batches: list[list[_Row]] = []
    read = 0
    for row in rows:
        columns = len(row.columns)
        if (
            not batches
            or (len(batches[-1]) + 1) * len(batches[-1][0].ids) > TOKENS_PER_BATCH
            or (read + columns) * vocab > LOGITS_PER_BATCH
        ):
            batches.append([])
            read = 0
        batches[-1].append(row)
        read += columns
    return batches


def _score(lm: LanguageModel, rows: Sequence[_Row]) -> dict[int, Likelihood]:
    padded = pad([row.ids for row in rows], pad_id(lm.tokenizer), lm.device)
    where = [(i, column) for i, row in enumerate(rows) for column in row.columns]
    logprobs = _logits_at(lm, padded.ids, padded.mask, where).float().log_softmax(-1)
    read = {place: k for k, place in enumerate(where)}
    asked = [(pair, read[i, column], token) for i, row in enumerate(rows)
             for pair, target in row.targets.items() for column, token in target]  # fmt: skip
    at = torch.tensor([k for _, k, _ in asked], device=lm.device)
    tokens = torch.tensor([token for _, _, token in asked], device=lm.device)
    chosen, best = logprobs[at, tokens], logprobs.argmax(-1)[at]
    firsts = {pair: n for n, (pair, _, _) in reversed(list(enumerate(asked)))}
    # Ranks compare whole vocabularies, so only those of first tokens are taken.
    first = torch.tensor(list(firsts.values()), device=lm.device)
    ranks = [int((logprobs[at[n]] > chosen[n]).sum()) + 1 for n in first.tolist()]
    found: dict[int, tuple[list[float], list[bool]]] = {}
    for (pair, _, _), value, right in zip(asked, chosen.tolist(), (best == tokens).tolist(), strict=True):
        values, correct = found.setdefault(pair, ([], []))
        values.append(value)
        correct.append(right)
    return {
        pair: Likelihood(tuple(found[pair][0]), tuple(found[pair][1]), rank)
        for pair, rank in zip(firsts, ranks, strict=True)
    }


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
