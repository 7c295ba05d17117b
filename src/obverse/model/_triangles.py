"""Attention whose scores depend on distance alone: score(m, n) = q_m R(-|m - n|) k_n.

A rotary model gives q^ = R(m) q_m and k^ = R(n) k_n, so q^ k^ = q_m R(n - m) k_n is right where the key is not after
the query. Where it is, both are turned the other way first: q~ = R(-m) q_m, k~ = R(-n) k_n. `by_definition` computes
every score; `fused` makes two calls of a flash kernel, one a triangle, and merges them by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from obverse.core import UnsupportedModel
from obverse.model._kernels import backward, forward, has_kernel
from obverse.model._pattern import Pattern

Heads = Float[Tensor, "batch head pos dim"]
Values = Float[Tensor, "batch head pos wide"]
Turn = Callable[[Heads], Heads]
"""From R(p) x to R(-p) x."""


def attend(
    pattern: Pattern,
    turn: Turn | None,
    query: Heads,
    key: Float[Tensor, "batch shared pos dim"],
    value: Float[Tensor, "batch shared pos wide"],
    *,
    scale: float | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " head"] | None = None,
    dropout: float = 0.0,
) -> Values:
    """Attend by a pattern.

    Args:
        pattern: Who sees whom.
        turn: From rotated queries and keys to those rotated the other way; None if they are not rotated.
        query: Queries, rotated for their positions.
        key: Keys, likewise; fewer heads than queries have are shared.
        value: Values; DeepSeek's are narrower than its keys.
        scale: Factor on scores; 1 / sqrt(dim) if None.
        window: Keys this far away or farther are not seen, on either side.
        softcap: Bound that scores approach (Gemma 2).
        sinks: A score a head for seeing nothing (GPT-OSS).
        dropout: Share of weights to drop.

    Raises:
        UnsupportedModel: If keys and queries are not those of one whole row.
    """
    length = pattern.visible.shape[1]
    if query.shape[2] != length or key.shape[2] != length:
        raise UnsupportedModel(
            f"Attention to both sides of {length} tokens was given {query.shape[2]} queries and {key.shape[2]} keys.",
            "Run whole rows without a cache of earlier ones: use_cache=False, no past_key_values.",
        )
    pattern = pattern.to(query.device)
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    key, value = _shared(key, query.shape[1]), _shared(value, query.shape[1])
    scale = float(query.shape[-1] ** -0.5 if scale is None else scale)
    window = window if window is not None and window < length else None
    turn = None if pattern.causal or not pattern.flip else turn
    if softcap is not None or sinks is not None or not pattern.fused:
        return by_definition(pattern, turn, query, key, value, scale, window, softcap, sinks, dropout)
    if turn is None:
        return _one_mask(pattern, query, key, value, scale, window, dropout)
    if dropout or not has_kernel(query):
        return by_definition(pattern, turn, query, key, value, scale, window, softcap, sinks, dropout)
    return fused(pattern, turn, query, key, value, scale, window)


def by_definition(
    pattern: Pattern,
    turn: Turn | None,
    query: Heads,
    key: Heads,
    value: Values,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " head"] | None = None,
    dropout: float = 0.0,
) -> Values:
    """Attend as BICO's authors do: both score matrices in full, joined at the diagonal; arguments as `attend`."""
    scores = query @ key.mT  # batch head pos pos
    if turn is not None:
        scores = torch.where(pattern.distance()[:, None] > 0, turn(query) @ turn(key).mT, scores)
    scores = scores * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores + pattern.additive(pattern.allowed(window), scores.dtype, ("all", window))[:, None]
    if sinks is not None:
        scores = torch.cat([scores, sinks.to(scores).view(1, -1, 1, 1).expand(*scores.shape[:3], 1)], -1)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(value.dtype)
    return nn.functional.dropout(weights[..., : key.shape[2]], dropout) @ value


def fused(
    pattern: Pattern, turn: Turn, query: Heads, key: Heads, value: Values, scale: float, window: int | None = None
) -> Values:
    """Attend by two kernel calls, one for keys up to the query and one for keys after it; arguments as `attend`.

    In the order of the tokens each triangle is causal: the upper one when read backwards, the first query (the last of
    the row) left out as it has no key. Otherwise, and with a window, both calls take a whole mask.
    """
    dim = value.shape[-1]
    value = nn.functional.pad(value, (0, query.shape[-1] - dim))
    other_query, other_key = turn(query), turn(key)
    if causal := window is None and pattern.positions is None:
        before, after = pattern.visible[:, None, None], pattern.ahead()[:, None, None, 1:].flip(-1)
        other = other_query[:, :, :-1].flip(2), other_key[:, :, 1:].flip(2), value[:, :, 1:].flip(2)
    else:
        allowed, later = pattern.allowed(window), pattern.distance() > 0
        before, after = (allowed & ~later)[:, None], (allowed & later)[:, None]
        other = other_query, other_key, value
    masks = [pattern.additive(seen, query.dtype, (name, window)) for name, seen in (("<", before), (">", after))]
    return _Merged.apply(query, key, value, masks[0], *other, masks[1], causal, scale)[..., :dim]


class _Merged(torch.autograd.Function):
    """Two attention calls over disjoint keys, joined into the attention over all of them.

    With (o_i, l_i) the result and log-sum-exp of each: l = log(e^l1 + e^l2), o = e^(l1 - l) o1 + e^(l2 - l) o2. A flash
    kernel's backward needs l only to find the weights, e^(score - l), and o only to find <do, o>; given the joined ones
    it returns each call's part of the joined gradient, so the gradient of l never appears.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Heads,
        key: Heads,
        value: Heads,
        mask: Tensor,
        query2: Float[Tensor, "batch head rows dim"],
        key2: Float[Tensor, "batch head rows dim"],
        value2: Float[Tensor, "batch head rows dim"],
        mask2: Tensor,
        causal: bool,
        scale: float,
    ) -> Heads:
        out, lse, state = forward(query, key, value, mask, causal, scale)
        second = None
        if rows := query2.shape[2]:
            out2, lse2, second = forward(query2, key2, value2, mask2, causal, scale)
            if causal:
                out2, lse2 = out2.flip(2), lse2.flip(2)
            share = torch.sigmoid(lse2 - lse[:, :, :rows])[..., None].to(out.dtype)
            out[:, :, :rows] += share * (out2 - out[:, :, :rows])
            lse[:, :, :rows] = torch.logaddexp(lse[:, :, :rows], lse2)
        ctx.save_for_backward(query, key, value, mask, query2, key2, value2, mask2, out, lse)
        ctx.settings = causal, scale, state, second
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, mask, query2, key2, value2, mask2, out, lse = ctx.saved_tensors
        causal, scale, state, second = ctx.settings
        (grad,) = grads
        first = backward(grad, query, key, value, mask, out, lse, causal, scale, state)
        other: tuple[Tensor | None, ...] = (None, None, None)
        if rows := query2.shape[2]:
            if causal:
                grad, out, lse = (x[:, :, :rows].flip(2) for x in (grad, out, lse))
            other = backward(grad, query2, key2, value2, mask2, out, lse, causal, scale, second)
        return *first, None, *other, None, None, None


def _one_mask(
    pattern: Pattern, query: Heads, key: Heads, value: Values, scale: float, window: int | None, dropout: float
) -> Values:
    """Attend where nothing needs to be turned: one call, as the model itself would make it."""
    causal = pattern.causal and window is None and bool(pattern.visible.all())
    mask = None
    if not causal and not (pattern.whole and window is None):
        seen = pattern.visible[:, None] if pattern.prefix is None and window is None else pattern.allowed(window)
        mask = pattern.additive(seen, query.dtype, ("one", window))[:, None]
    return nn.functional.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal, scale=scale)


def _shared(states: Float[Tensor, "batch shared pos dim"], heads: int) -> Heads:
    """Repeat each key or value head for the queries that share it."""
    batch, own, length, dim = states.shape
    if own == heads:
        return states
    return states[:, :, None].expand(batch, own, heads // own, length, dim).reshape(batch, heads, length, dim)
