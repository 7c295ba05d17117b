"""Continue prompts, greedily or by sampling from an explicit source of chance, in batches with a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from obverse.measuring.likelihood import Around, unchanged
from obverse.model.partial import accepted, head_sees
from obverse.model.tokens import encode_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_NUCLEUS = 256
"""Tokens looked at first for a nucleus."""


@torch.no_grad()
def continuations(
    lm: LanguageModel,
    rows: Sequence[Sequence[int]],
    new_tokens: int,
    *,
    top_k: int = 1,
    top_p: float = 1.0,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    draws: Float[Tensor, "row new_tokens"] | None = None,
    banned: Sequence[int] = (),
    at_least: Sequence[int] = (),
    keep_end: bool = False,
) -> list[list[int]]:
    """Continue rows of tokens.

    Args:
        lm: The model.
        rows: Token ids to continue; each row at least one.
        new_tokens: How many tokens to add. A row is cut before an end token.
        top_k: Sample among the k likeliest; 1 is greedy, 0 takes all.
        top_p: Sample among the fewest likeliest tokens that hold this share of what ``top_k`` leaves.
        temperature: What logits are divided by before all else, above 0.
        generator: Source of randomness on the model's device; needed where ``top_k`` is not 1.
        draws: In its place, a number from [0, 1) for each token; a row then does not depend on its company.
        banned: Token ids never chosen.
        at_least: For each row, how many tokens to add before an end token may be chosen.
        keep_end: Whether the end token that cuts a row is given back with it.

    Returns:
        The new tokens of each row.
    """
    if top_k != 1 and generator is None and draws is None:
        raise ValueError("sampling needs a generator or draws")
    last = [len(row) - 1 for row in rows]
    padded = pad(rows, pad_id(lm.tokenizer), lm.device, last)
    cache, mask, positions = DynamicCache(), padded.mask, padded.positions
    index, column = torch.arange(len(rows), device=lm.device), torch.full((len(rows),), -1, device=lm.device)
    ids, chosen, ends = padded.ids, list[Tensor](), end_tokens(lm)
    ended = torch.zeros(len(rows), dtype=torch.bool, device=lm.device)
    shortest = torch.tensor(at_least or [0] * len(rows), device=lm.device)
    for step in range(new_tokens):
        with head_sees(lm.model, index, column):
            extra = accepted(lm.model, position_ids=positions)
            output = lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        logits = output.logits[0].float()
        if banned:
            logits[:, list(banned)] = -torch.inf
        if at_least and ends:
            too_soon = (shortest > step).nonzero()
            logits[too_soon, torch.tensor(sorted(ends), device=lm.device)] = -torch.inf
        ids = _choose(logits / temperature, top_k, top_p, generator if draws is None else draws[:, step])
        chosen.append(ids)
        ended |= torch.isin(ids[:, 0], torch.tensor(sorted(ends), device=lm.device))
        if generator is None and bool(ended.all()):  # a generator is to be left in the same state whatever was drawn
            break
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        positions = positions[:, -1:] + 1
    return [_until(row, ends, keep_end) for row in torch.cat(chosen, -1).tolist()]


def _choose(logits: Tensor, top_k: int, top_p: float, source: torch.Generator | Tensor | None) -> Tensor:
    if top_k == 1:
        return logits.argmax(-1, keepdim=True)
    values, indices = candidates(logits, top_k, top_p)
    if isinstance(source, Tensor):
        upto = values.double().softmax(-1).cumsum(-1)
        place = (upto <= source.to(upto)[:, None] * upto[:, -1:]).sum(-1, keepdim=True)
    else:
        place = torch.multinomial(values.softmax(-1), 1, generator=source)
    return indices.gather(-1, place)


def candidates(
    logits: Float[Tensor, "row vocab"], top_k: int = 0, top_p: float = 1.0
) -> tuple[Float[Tensor, "row kept"], Int[Tensor, "row kept"]]:
    """Return the tokens that may be drawn: their logits, minus infinity for those left out, and their ids.

    Args:
        logits: Of each row; the temperature is in them already.
        top_k: How many of the likeliest to keep; 0 keeps all.
        top_p: Of these keep the fewest likeliest that hold this share of their probability (nucleus sampling).

    Source:
        Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    vocab = logits.shape[-1]
    if top_p >= 1:
        if top_k == 0:
            return logits, torch.arange(vocab, device=logits.device).expand_as(logits)
        values, indices = logits.topk(min(top_k, vocab))
        return values, indices
    width = min(top_k or _NUCLEUS, vocab)
    while True:
        values, indices = logits.topk(width)
        whole = (values if top_k else logits).logsumexp(-1, keepdim=True)
        shares = (values - whole).exp()
        before = shares.cumsum(-1) - shares
        if top_k or width == vocab or bool((before[:, -1] >= top_p).all()):
            return values.masked_fill(before >= top_p, -torch.inf), indices
        width = min(8 * width, vocab)  # sorting a whole vocabulary at each step would take longer than the model


def end_tokens(lm: LanguageModel) -> set[int]:
    """Return the ids that end a text: those of the model's generation settings, and the tokenizer's."""
    ends = lm.model.generation_config.eos_token_id if lm.model.generation_config else None
    listed = ends if isinstance(ends, list) else [ends]
    return {token for token in (*listed, lm.tokenizer.eos_token_id) if isinstance(token, int)}


def _until(row: list[int], ends: set[int], keep_end: bool) -> list[int]:
    cut = next((i for i, token in enumerate(row) if token in ends), len(row))
    return row[: cut + keep_end]


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
