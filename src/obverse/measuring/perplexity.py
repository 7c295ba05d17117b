"""How surprised a model is by a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from obverse.core import DataError
from obverse.model.tokens import encode

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

ESSENCE_TOKENS = 100
"""Tokens of the joined texts that `essence` reads (ROME's program)."""


@torch.no_grad()
def perplexity(lm: LanguageModel, text: str, limit: int | None = None, *, per_token: bool = False) -> float:
    """Return the perplexity of a text: exp of the mean surprise of its tokens, the first one left out.

    Args:
        lm: The model.
        text: The text, of two tokens at least.
        limit: Read only that many tokens of it.
        per_token: Divide by the number of tokens, as ROME's program does, not by that of predicted tokens, which is one
            less. The result is lower: P^((N-1)/N).

    Raises:
        DataError: If there is nothing to predict.
    """
    row = encode(lm.tokenizer, text).ids[:limit]
    if len(row) < 2:
        raise DataError(
            f"{text!r} has {len(row)} token(s) to read; perplexity needs two at least.", "Give a longer text."
        )
    ids = torch.tensor([row], device=lm.device)
    logprobs = lm.model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
    total = float(logprobs.gather(-1, ids[0, 1:, None]).double().sum())
    return math.exp(-total / (len(row) if per_token else len(row) - 1))


def essence(lm: LanguageModel, texts: Sequence[str]) -> float:
    """Return ROME's essence score: perplexity of texts about the subject; an edit that raises it harmed the subject.

    Args:
        lm: The model.
        texts: Texts about the subject itself (`Case.essence`).

    Raises:
        DataError: If there is no text.

    Source:
        The essence score of ROME's program; its rise after an edit is called essence drift.
    """
    return perplexity(lm, " ".join(texts), ESSENCE_TOKENS, per_token=True)
