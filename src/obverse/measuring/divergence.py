"""How differently two variants of a model go on: divergence of their next-token distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.measuring.likelihood import LOGITS_PER_BATCH, TOKENS_PER_BATCH, Around
from obverse.model.partial import head_sees
from obverse.model.tokens import encode, encode_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@torch.no_grad()
def next_token_kl(lm: LanguageModel, asked: Sequence[tuple[int | None, str, str]], around: Around) -> list[float]:
    """Return KL(model as it is || variant) of the token that follows a text, in nats.

    Args:
        lm: The model.
        asked: (variant, text as the model as it is reads it, text as the variant reads it); the texts differ for an
            edit by prompt only.
        around: Makes the rows of a forward pass those of their variants.

    Returns:
        One number a text, 0 or more; not finite where the variant's distribution is not.

    Source:
        Hoelscher-Obermaier et al. 2023, "Detecting Edit Failures In Large Language Models", section 3 (NKL).
    """
    reads = list(dict.fromkeys([*((None, plain) for _, plain, _ in asked), *((v, text) for v, _, text in asked)]))
    place = {read: i for i, read in enumerate(reads)}
    wanted = [(place[None, plain], place[variant, text]) for variant, plain, text in asked]
    found: dict[int, float] = {}
    # Distributions are a vocabulary wide: a pair's two are looked at as soon as both are there, in the order asked.
    for chunk in _chunks(wanted, max(1, LOGITS_PER_BATCH // (2 * lm.vocab))):
        needed = sorted({i for _, pair in chunk for i in pair})
        logprobs = dict(zip(needed, _next_logprobs(lm, [reads[i] for i in needed], around), strict=True))
        for n, (before, after) in chunk:
            found[n] = float(kl(logprobs[before], logprobs[after]))
    return [found[n] for n in range(len(asked))]


def kl(before: Float[Tensor, "*batch vocab"], after: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch"]:
    """Return KL(before || after) of log-probabilities, in nats; rounding below 0 is taken as 0."""
    return (before.exp() * (before - after)).sum(-1).clamp_min(0)


def _chunks(pairs: Sequence[tuple[int, int]], size: int) -> Iterator[list[tuple[int, tuple[int, int]]]]:
    numbered = list(enumerate(pairs))
    return (numbered[start : start + size] for start in range(0, len(numbered), size))


def _next_logprobs(
    lm: LanguageModel, reads: Sequence[tuple[int | None, str]], around: Around
) -> list[Float[Tensor, " vocab"]]:
    rows = [item.ids for item in encode_all(lm.tokenizer, [text for _, text in reads])]
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    size = max(1, TOKENS_PER_BATCH // len(rows[order[0]]))
    out: dict[int, Tensor] = {}
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        padded = pad([rows[i] for i in chosen], pad_id(lm.tokenizer), lm.device)
        index = torch.arange(len(chosen), device=lm.device)
        last = torch.tensor([len(rows[i]) - 1 for i in chosen], device=lm.device)
        with around([reads[i][0] for i in chosen]), head_sees(lm.model, index, last):
            logits = lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False).logits[0]
        out.update(zip(chosen, logits.float().log_softmax(-1), strict=True))
    return [out[i] for i in range(len(rows))]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a variant reads some text, beside the model as it is.

    Attributes:
        nll: Mean negative log-probability of a token, in nats.
        kl: Mean over tokens of KL(model as it is || variant), in nats.
    """

    nll: float
    kl: float


@torch.no_grad()
def readings(
    lm: LanguageModel,
    variants: Sequence[int | None],
    texts: Sequence[str],
    around: Around,
    limit: int | None = None,
    prefixes: Sequence[str] = (),
) -> list[Reading]:
    """Let variants of a model read texts, each text on its own.

    Args:
        lm: The model.
        variants: The variants; None is the model as it is.
        texts: The texts, of two tokens at least each.
        around: Makes the rows of a forward pass those of their variants.
        limit: Read so many tokens in all: of the first texts, the last of them cut.
        prefixes: What stands before each text for each variant; nothing if not given.

    Returns:
        One reading a variant.
    """
    prefixes = prefixes or [""] * len(variants)
    nll, divergence, count = [0.0] * len(variants), [0.0] * len(variants), 0
    for text, tokens in _cut(lm, texts, limit):
        rows = [_prefixed(lm, prefix, text, tokens) for prefix in ("", *prefixes)]
        target = torch.tensor(rows[0][1:], device=lm.device)
        before = _text_logprobs(lm, [rows[0]], [None], tokens, around)[0]
        size = max(1, LOGITS_PER_BATCH // (tokens * lm.vocab))
        for start in range(0, len(variants), size):
            group = list(range(start, min(start + size, len(variants))))
            chosen = [rows[i + 1] for i in group]
            for i, after in zip(group, _text_logprobs(lm, chosen, [variants[i] for i in group], tokens, around),
                                strict=True):  # fmt: skip
                nll[i] -= float(after.gather(-1, target[:, None]).double().sum())
                divergence[i] += float(kl(before, after).double().sum())
        count += len(target)
    return [Reading(total / count, moved / count) for total, moved in zip(nll, divergence, strict=True)]


def _cut(lm: LanguageModel, texts: Sequence[str], limit: int | None) -> Iterator[tuple[str, int]]:
    """Yield texts with the number of their tokens to read, special ones included, until the limit is reached."""
    left = limit
    for text in texts:
        size = len(encode(lm.tokenizer, text).ids)
        size = size if left is None else min(size, left)
        if size < 2:
            return
        yield text, size
        left = None if left is None else left - size


def _prefixed(lm: LanguageModel, prefix: str, text: str, tokens: int) -> tuple[int, ...]:
    ids = encode(lm.tokenizer, prefix + text).ids
    whole = len(encode(lm.tokenizer, text).ids)
    return ids[: len(ids) - (whole - tokens)]


def _text_logprobs(
    lm: LanguageModel, rows: Sequence[Sequence[int]], variants: Sequence[int | None], tokens: int, around: Around
) -> Float[Tensor, "row predicted vocab"]:
    """Return what is predicted at all but the last of each row's last ``tokens`` places."""
    padded = pad(rows, pad_id(lm.tokenizer), lm.device)
    places = [(i, len(row) - tokens + k) for i, row in enumerate(rows) for k in range(tokens - 1)]
    index, column = (torch.tensor(list(each), device=lm.device) for each in zip(*places, strict=True))
    with around(variants), head_sees(lm.model, index, column):
        logits = lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False).logits[0]
    return logits.float().log_softmax(-1).view(len(rows), tokens - 1, -1)
