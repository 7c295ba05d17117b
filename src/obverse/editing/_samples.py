"""Plain text that the model writes itself, for statistics where no corpus is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from obverse.core import seed_for
from obverse.editing.contexts import markup_tokens, start_token
from obverse.measuring.generation import continuations

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

ROWS = 32
TOP_K = 50
"""Wider than for contexts: statistics want the variety of text, not its likeliest form."""


def model_texts(lm: LanguageModel, tokens: int, length: int, seed: int) -> Iterator[str]:
    """Yield texts sampled from the model, each batch from a seed of its own, so that a count can go on where it was.

    Args:
        lm: The model.
        tokens: About how many tokens are wanted; the stream goes on a little longer.
        length: Tokens a text.
        seed: Seed of the sampling.
    """
    for number in range(2 * tokens // (ROWS * length) + 2):
        generator = torch.Generator(lm.device).manual_seed(seed_for(seed, "text", number))
        rows = continuations(
            lm, [[start_token(lm)]] * ROWS, length - 1, top_k=TOP_K, generator=generator, banned=markup_tokens(lm)
        )
        yield from (lm.decode(row, skip_special_tokens=True) for row in rows)
