"""Fused attention that also gives its log-sum-exp, which PyTorch's public call keeps to itself.

On a CPU the flash kernel, on CUDA the memory-efficient one: both take a mask and a causal rule together.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Heads = Float[Tensor, "batch head pos dim"]
Sums = Float[Tensor, "batch head pos"]


def has_kernel(query: Heads) -> bool:
    """Whether there is a kernel for a query's device, type and width."""
    kind = query.device.type
    return (kind == "cpu" and query.dtype is not torch.float16) or (
        kind == "cuda" and query.dtype is not torch.float64 and query.shape[-1] % 8 == 0
    )


def forward(
    query: Heads, key: Heads, value: Heads, mask: Tensor, causal: bool, scale: float
) -> tuple[Heads, Sums, tuple[Tensor, ...]]:
    """Attend.

    Args:
        query: Queries.
        key: Keys.
        value: Values, as wide as the keys.
        mask: Added to scores, (batch, 1, 1 or pos, pos).
        causal: Whether a query sees no key after it.
        scale: Factor on scores.

    Returns:
        The result, the log-sum-exp of each query's scores in float32 or wider, and what `backward` needs besides.
    """
    if query.device.type == "cpu":
        op = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, sums = op(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
        return out, sums, ()
    op = torch.ops.aten._scaled_dot_product_efficient_attention
    out, sums, seed, offset = op(query, key, value, _bias(mask, query), True, 0.0, causal, scale=scale)
    return out, sums[..., : query.shape[2]].clone(), (seed, offset)


def backward(
    grad: Heads,
    query: Heads,
    key: Heads,
    value: Heads,
    mask: Tensor,
    out: Heads,
    sums: Sums,
    causal: bool,
    scale: float,
    state: Any,
) -> tuple[Heads, Heads, Heads]:
    """Return the gradients of query, key and value, from that of the result; arguments as `forward`."""
    if query.device.type == "cpu":
        op = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        return op(grad, query, key, value, out, sums, 0.0, causal, attn_mask=mask, scale=scale)
    # The kernel reads the sums in blocks of 32; infinity past the end stands for weights of 0.
    sums = nn.functional.pad(sums, (0, -sums.shape[-1] % 32), value=torch.inf)
    op = torch.ops.aten._scaled_dot_product_efficient_attention_backward
    wanted = [True, True, True, False]
    bias = _bias(mask, query)
    return op(grad, query, key, value, bias, out, sums, *state, 0.0, wanted, causal, scale=scale)[:3]


def _bias(mask: Tensor, query: Heads) -> Tensor:
    """Return a mask for every head and query, its rows starting at multiples of 8 numbers as the kernel wants."""
    length = mask.shape[-1]
    mask = nn.functional.pad(mask, (0, -length % 8))[..., :length]
    return mask.expand(*query.shape[:3], length)
