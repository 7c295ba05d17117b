"""Tokens that stand before many rows, read once: an instruction with its examples costs as much as one row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import DynamicCache

from obverse.model.partial import accepted, head_sees

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class Before:
    """What a model remembers of tokens that stand before rows.

    Args:
        lm: The model.
        ids: The tokens, at least one.

    Attributes:
        length: Their number.
    """

    @torch.no_grad()
    def __init__(self, lm: LanguageModel, ids: Sequence[int]) -> None:
        self._lm, self.length, self._cache = lm, len(ids), DynamicCache()
        self._read(torch.tensor([list(ids)], device=lm.device), self._cache, [(0, len(ids) - 1)])

    def cache(self, rows: int) -> DynamicCache:
        """Return a cache for so many rows, of their own."""
        made = copy.deepcopy(self._cache)
        made.batch_repeat_interleave(rows)
        return made

    def seen(self, mask: Int[Tensor, "row pos"]) -> Int[Tensor, "row more"]:
        """Return a mask of rows, with the tokens before them seen."""
        return torch.cat([mask.new_ones(len(mask), self.length), mask], -1)

    @torch.no_grad()
    def logprobs(self, rows: Sequence[Sequence[int]], targets: Sequence[int]) -> list[float]:
        """Return the log-probability of the last tokens of each row, in nats.

        Args:
            rows: Token ids that follow; the rows are of one length.
            targets: How many of the last tokens of each row are asked for; fewer than it has.
        """
        ids = torch.tensor([list(row) for row in rows], device=self._lm.device)
        length = ids.shape[1]
        places = [(i, c) for i, many in enumerate(targets) for c in range(length - many, length)]
        logits = self._read(ids, self.cache(len(rows)), [(i, c - 1) for i, c in places])
        index, column = (torch.tensor(list(each), device=ids.device) for each in zip(*places, strict=True))
        found = logits.log_softmax(-1).gather(-1, ids[index, column][:, None])[:, 0].double()
        return torch.zeros(len(rows), dtype=torch.float64, device=ids.device).index_add(0, index, found).tolist()

    def _read(self, ids: Tensor, cache: DynamicCache, places: Sequence[tuple[int, int]]) -> Tensor:
        """Read rows on top of a cache; return the logits at some places, in float32."""
        index, column = (torch.tensor(list(each), device=ids.device) for each in zip(*places, strict=True))
        begin = cache.get_seq_length()
        mask = torch.ones(len(ids), begin + ids.shape[1], dtype=torch.long, device=ids.device)
        positions = torch.arange(begin, begin + ids.shape[1], device=ids.device).expand(len(ids), -1)
        with head_sees(self._lm.model, index, column):
            extra = accepted(self._lm.model, position_ids=positions)
            output = self._lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        return output.logits[0].float()


def common_start(rows: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all rows have in common, so that each has one left at least."""
    least = min(map(len, rows)) - 1
    return next((i for i in range(least) if any(row[i] != rows[0][i] for row in rows)), least)
