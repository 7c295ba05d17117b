"""Continue prompts, greedily or by top-k sampling from an explicit generator, in batches with a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache

from obverse.model.partial import accepted, head_sees
from obverse.model.tokens import encode_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@torch.no_grad()
def continuations(
    lm: LanguageModel,
    rows: Sequence[Sequence[int]],
    new_tokens: int,
    *,
    top_k: int = 1,
    generator: torch.Generator | None = None,
    banned: Sequence[int] = (),
) -> list[list[int]]:
    """Continue rows of tokens.

    Args:
        lm: The model.
        rows: Token ids to continue; each row at least one.
        new_tokens: How many tokens to add. A row is cut before an end token.
        top_k: Sample among the k likeliest; 1 is greedy.
        generator: Source of randomness on the model's device; needed where ``top_k`` is above 1.
        banned: Token ids never chosen.

    Returns:
        The new tokens of each row.
    """
    if top_k > 1 and generator is None:
        raise ValueError("sampling needs a generator")
    last = [len(row) - 1 for row in rows]
    padded = pad(rows, pad_id(lm.tokenizer), lm.device, last)
    cache, mask, positions = DynamicCache(), padded.mask, padded.positions
    index, column = torch.arange(len(rows), device=lm.device), torch.full((len(rows),), -1, device=lm.device)
    ids, chosen = padded.ids, list[Tensor]()
    for _ in range(new_tokens):
        with head_sees(lm.model, index, column):
            extra = accepted(lm.model, position_ids=positions)
            output = lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        logits = output.logits[0].float()
        if banned:
            logits[:, list(banned)] = -torch.inf
        ids = _choose(logits, top_k, generator)
        chosen.append(ids)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        positions = positions[:, -1:] + 1
    ends = _end_tokens(lm)
    return [_until(row, ends) for row in torch.cat(chosen, -1).tolist()]


def _choose(logits: Tensor, top_k: int, generator: torch.Generator | None) -> Tensor:
    if top_k == 1:
        return logits.argmax(-1, keepdim=True)
    values, indices = logits.topk(min(top_k, logits.shape[-1]))
    return indices.gather(-1, torch.multinomial(values.softmax(-1), 1, generator=generator))


def _end_tokens(lm: LanguageModel) -> set[int]:
    ends = lm.model.generation_config.eos_token_id if lm.model.generation_config else None
    listed = ends if isinstance(ends, list) else [ends]
    return {token for token in (*listed, lm.tokenizer.eos_token_id) if isinstance(token, int)}


def _until(row: list[int], ends: set[int]) -> list[int]:
    return row[: next((i for i, token in enumerate(row) if token in ends), len(row))]


def greedy(lm: LanguageModel, prompts: Sequence[str], new_tokens: int, batch: int = 16) -> list[str]:
    """Continue prompts greedily; returns only the new text."""
    encoded = [item.ids for item in encode_all(lm.tokenizer, prompts)]
    out: list[str] = []
    for start in range(0, len(encoded), batch):
        rows = continuations(lm, encoded[start : start + batch], new_tokens)
        out += [lm.decode(row) for row in rows]
    return out
