"""Continue prompts, greedily or by sampling from an explicit source of chance, in batches with a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from obverse.measuring.likelihood import Around, unchanged
from obverse.measuring.shared import Before
from obverse.model.partial import accepted, head_sees
from obverse.model.tokens import encode_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_NUCLEUS = 256
"""Tokens looked at first for a nucleus."""

_WORTH = 0.75
"""Share of a batch's rows still going on at which the others are dropped; to drop them copies the cache."""


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
    stop: Callable[[Sequence[int]], bool] | None = None,
    shrink: bool = False,
    before: Before | None = None,
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
        stop: Says of the new tokens of a row, after each, whether it ends with the last of them.
        shrink: Whether rows that have ended are soon computed no longer. Not where hooks tell the rows of a batch
            apart, and not with a generator, which is left in the same state whatever was drawn.
        before: Tokens that stand before all rows, read already; the rows are then of one length.

    Returns:
        The new tokens of each row.
    """
    if top_k != 1 and generator is None and draws is None:
        raise ValueError("sampling needs a generator or draws")
    last = [len(row) - 1 for row in rows]
    padded = pad(rows, pad_id(lm.tokenizer), lm.device, last)
    cache, mask, positions = DynamicCache(), padded.mask, padded.positions
    if before is not None:
        cache, mask, positions = before.cache(len(rows)), before.seen(mask), positions + before.length
    ids, ends = padded.ids, end_tokens(lm)
    over, written = set[int](), [list[int]() for _ in rows]
    live = torch.arange(len(rows), device=lm.device)  # the row that each row of the batch is
    shortest = torch.tensor(at_least or [0] * len(rows), device=lm.device)
    for step in range(new_tokens):
        with head_sees(lm.model, torch.arange(len(live), device=lm.device), torch.full_like(live, -1)):
            extra = accepted(lm.model, position_ids=positions)
            output = lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        logits = output.logits[0].float()
        if banned:
            logits[:, list(banned)] = -torch.inf
        if at_least and ends:
            too_soon = (shortest[live] > step).nonzero()
            logits[too_soon, torch.tensor(sorted(ends), device=lm.device)] = -torch.inf
        ids = _choose(logits / temperature, top_k, top_p, generator if draws is None else draws[live, step])
        for row, token in zip(live.tolist(), ids[:, 0].tolist(), strict=True):
            _add(token, row, written, over, ends, stop)
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], -1)
        positions = positions[:, -1:] + 1
        if generator is None and len(over) == len(rows):
            break
        if generator is None and shrink:
            going = torch.tensor([i for i, row in enumerate(live.tolist()) if row not in over], device=lm.device)
            if len(going) <= _WORTH * len(live):
                cache.batch_select_indices(going)
                live, ids, mask, positions = live[going], ids[going], mask[going], positions[going]
    return [_until(row, ends, keep_end) for row in written]


def _add(
    token: int,
    row: int,
    written: Sequence[list[int]],
    over: set[int],
    ends: set[int],
    stop: Callable[[Sequence[int]], bool] | None,
) -> None:
    """Add a token to what is written of a row, unless it has ended, and see whether it ends with that."""
    if row not in over:
        written[row].append(token)
        if token in ends or (stop is not None and stop(written[row])):
            over.add(row)


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
