"""What an edit will cost, from shapes alone, before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from obverse.core import Fact
from obverse.model.tokens import encode

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

BYTES = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate.

    Attributes:
        flops: Floating-point operations of the value optimization (a multiply-add counts as two).
        seconds: Time on this device, from a short measurement of its speed; an upper estimate, as facts stop early.
        memory: Bytes beyond the model.
        moment_flops: Operations of counting second moments, if they are not kept yet.
    """

    flops: float
    seconds: float
    memory: float
    moment_flops: float = 0.0


def estimate(
    lm: LanguageModel, facts: Sequence[Fact], layers: Sequence[int], contexts: int, steps: int, moment_tokens: int = 0
) -> Cost:
    """Estimate an edit's cost.

    Args:
        lm: The model.
        facts: The facts.
        layers: Layers to be edited.
        contexts: Contexts a fact is put in, the bare prompt included.
        steps: Evaluations of the loss at most.
        moment_tokens: Keys to be counted first; 0 if the second moments are kept already.
    """
    a = lm.architecture
    head = lm.weight_of(lm.head)
    blocks = lm.model.get_submodule(a.blocks)
    block = sum(p.numel() for p in blocks.parameters()) / a.n_layers
    total = widest = 0.0
    for fact in facts:
        ids = encode(lm.tokenizer, f"{fact.text} {fact.target}")
        whole, suffix = len(ids.ids), len(ids.ids) - ids.tokens_of(*fact.span)[-1]
        answer = max(len(ids.ids) - len(encode(lm.tokenizer, fact.text).ids), 1)
        rows = contexts + 1
        for layer in layers:
            above = block * (a.n_layers - layer - 1) * suffix * rows + head.numel() * rows * answer
            # Forward and the backward pass to the states (weights need no gradient): 2 + 2 operations a weight.
            total += 4 * above * steps + 2 * block * a.n_layers * (whole + 8) * rows
            states = (
                12 * (a.n_layers - layer) * rows * suffix * (a.hidden + a.inner) + 4 * rows * answer * head.shape[0]
            )
            widest = max(widest, BYTES * states)
    moment = 2 * block * (max(layers) + 1) * moment_tokens + 2 * a.inner**2 * moment_tokens * len(layers)
    memory = widest + (8 * a.inner**2 * 3 if moment_tokens else 0)
    return Cost(total + moment, (total + moment) / _speed(lm), float(memory), float(moment))


def _speed(lm: LanguageModel, size: int = 512) -> float:
    """Return the operations a second of matrix products of an edit's shape on this device."""
    weight = torch.ones(size * 4, size, device=lm.device, dtype=lm.dtype)
    states = torch.ones(160, size, device=lm.device, dtype=lm.dtype)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        for _ in range(8):
            (states @ weight.T).sum().item()  # .item() waits for the device
        best = min(best, time.perf_counter() - began)
    return 8 * 2 * 160 * size * size * 4 / best * 0.6  # the rest of a pass is not matrix products
