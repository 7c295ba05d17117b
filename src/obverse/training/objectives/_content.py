"""What of a row is content and what is not: special tokens are never masked, moved or cut out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from obverse.training.example import IGNORED, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def special_ids(tokenizer: PreTrainedTokenizerBase) -> Int[np.ndarray, " special"]:
    """Return the ids of all special tokens, those added for control included, in order."""
    added = [i for i, token in tokenizer.added_tokens_decoder.items() if token.special]
    return np.unique(np.array([*tokenizer.all_special_ids, *added], np.int64))


def is_content(example: Example, special: Int[np.ndarray, " special"]) -> Bool[np.ndarray, " pos"]:
    """Return which tokens of a row are text that is to be predicted."""
    return ~np.isin(example.ids, special) & (example.labels != IGNORED)


def runs(wanted: Bool[np.ndarray, " pos"]) -> list[tuple[int, int]]:
    """Return the stretches [start, end) in which every position is wanted; of content, that is the documents."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False]))))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
