"""Continue prompts, greedily or by top-k sampling from an explicit generator, in batches with a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from obverse.measuring.likelihood import Around, unchanged
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
    draws: Float[Tensor, "row new_tokens"] | None = None,
    banned: Sequence[int] = (),
) -> list[list[int]]:
    """Continue rows of tokens.

    Args:
        lm: The model.
        rows: Token ids to continue; each row at least one.
        new_tokens: How many tokens to add. A row is cut before an end token.
        top_k: Sample among the k likeliest; 1 is greedy.
        generator: Source of randomness on the model's device; needed where ``top_k`` is above 1.
        draws: In its place, a number from [0, 1) for each token; a row then does not depend on its company.
        banned: Token ids never chosen.

    Returns:
        The new tokens of each row.
    """
    if top_k > 1 and generator is None and draws is None:
        raise ValueError("sampling needs a generator or draws")
    last = [len(row) - 1 for row in rows]
    padded = pad(rows, pad_id(lm.tokenizer), lm.device, last)
    cache, mask, positions = DynamicCache(), padded.mask, padded.positions
    index, column = torch.arange(len(rows), device=lm.device), torch.full((len(rows),), -1, device=lm.device)
    ids, chosen = padded.ids, list[Tensor]()
    for step in range(new_tokens):
        with head_sees(lm.model, index, column):
            extra = accepted(lm.model, position_ids=positions)
            output = lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        logits = output.logits[0].float()
        if banned:
            logits[:, list(banned)] = -torch.inf
        ids = _choose(logits, top_k, generator if draws is None else draws[:, step])
        chosen.append(ids)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        positions = positions[:, -1:] + 1
    ends = _end_tokens(lm)
    return [_until(row, ends) for row in torch.cat(chosen, -1).tolist()]


def _choose(logits: Tensor, top_k: int, source: torch.Generator | Tensor | None) -> Tensor:
    if top_k == 1:
        return logits.argmax(-1, keepdim=True)
    values, indices = logits.topk(min(top_k, logits.shape[-1]))
    shares = values.softmax(-1)
    if isinstance(source, Tensor):
        drawn = (shares.cumsum(-1) <= source.to(shares)[:, None]).sum(-1, keepdim=True)
        return indices.gather(-1, drawn.clamp_max(indices.shape[-1] - 1))
    return indices.gather(-1, torch.multinomial(shares, 1, generator=source))


def _end_tokens(lm: LanguageModel) -> set[int]:
    ends = lm.model.generation_config.eos_token_id if lm.model.generation_config else None
    listed = ends if isinstance(ends, list) else [ends]
    return {token for token in (*listed, lm.tokenizer.eos_token_id) if isinstance(token, int)}


def _until(row: list[int], ends: set[int]) -> list[int]:
    return row[: next((i for i, token in enumerate(row) if token in ends), len(row))]


def greedy(
    lm: LanguageModel,
    prompts: Sequence[str],
    new_tokens: int | Sequence[int],
    batch: int = 64,
    *,
    variants: Sequence[int | None] | None = None,
    around: Around = unchanged,
) -> list[str]:
    """Continue prompts greedily; returns only the new text.

    Args:
        lm: The model.
        prompts: Texts to continue.
        new_tokens: How many tokens to add at most; one number, or one a prompt.
        batch: Prompts in one pass.
        variants: Which variant of the model continues each prompt; all one and the same if not given.
        around: Makes the rows of a forward pass those of their variants.
    """
    encoded = [item.ids for item in encode_all(lm.tokenizer, prompts)]
    wanted = variants or [None] * len(prompts)
    longest = [new_tokens] * len(prompts) if isinstance(new_tokens, int) else new_tokens
    # Rows of like length need little padding, and end together.
    order = sorted(range(len(prompts)), key=lambda i: (-longest[i], -len(encoded[i])))
    out: dict[int, str] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        with around([wanted[i] for i in chosen]):
            rows = continuations(lm, [encoded[i] for i in chosen], longest[chosen[0]])
        out.update({i: lm.decode(row[: longest[i]]) for i, row in zip(chosen, rows, strict=True)})
    return [out[i] for i in range(len(prompts))]


def sampled(
    lm: LanguageModel,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    total_tokens: int = 100,
    top_k: int = 5,
    batch: int = 64,
    variants: Sequence[int | None] | None = None,
    around: Around = unchanged,
) -> list[str]:
    """Sample one continuation of each prompt; returns the texts with their prompts.

    Args:
        lm: The model.
        prompts: Texts to continue.
        seeds: A seed for each, so that its text does not depend on the other prompts.
        total_tokens: Length of each text, its prompt included (ROME: 100).
        top_k: Each token is sampled among this many likeliest (ROME: 5).
        batch: Prompts in one pass.
        variants: Which variant of the model continues each prompt; all one and the same if not given.
        around: Makes the rows of a forward pass those of their variants.
    """
    encoded = [item.ids for item in encode_all(lm.tokenizer, prompts)]
    missing = [max(0, total_tokens - len(row)) for row in encoded]
    wanted = variants or [None] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: missing[i])
    out: dict[int, str] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        longest = max(missing[i] for i in chosen)
        draws = torch.stack([torch.rand(longest, generator=torch.Generator().manual_seed(seeds[i])) for i in chosen])
        with around([wanted[i] for i in chosen]):
            rows = continuations(
                lm, [encoded[i] for i in chosen], longest, top_k=top_k, draws=draws.to(lm.device, torch.float64)
            )
        out.update({i: prompts[i] + lm.decode(row[: missing[i]]) for i, row in zip(chosen, rows, strict=True)})
    return [out[i] for i in range(len(prompts))]
