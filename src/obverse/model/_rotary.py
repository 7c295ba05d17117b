"""How a block turns its queries and keys, found by asking it: run once as it is, once with every sine negated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import UnsupportedModel

CosSin = tuple[Tensor, Tensor]
Heads = Float[Tensor, "batch head pos dim"]

_TOLERANCE = 0.02
"""Largest relative error at which a layout is believed; bfloat16 leaves about 0.005, a wrong layout about 1."""


@dataclass(frozen=True, slots=True)
class Rotary:
    """How a rotation lies in a head.

    Attributes:
        pairs: ``halves``: coordinate i is turned with i + width / 2; ``neighbours``: 2 i with 2 i + 1.
        angles: Which entries of cos and sin, (..., width) or (..., width / 2), belong to pair 0, 1, ...: ``all``,
            the ``first half``, or every ``second``.
        last: Whether the turned coordinates are a head's last ones; its first ones otherwise.
    """

    pairs: Literal["halves", "neighbours"]
    angles: Literal["all", "first half", "second"]
    last: bool = False

    def back(self, states: Heads, cos: Tensor, sin: Tensor) -> Heads:
        """Return R(-p) x from R(p) x, turning by -2 p: cos 2a = cos^2 a - sin^2 a, sin 2a = 2 sin a cos a.

        Args:
            states: Queries or keys as the model turned them.
            cos: Cosines the model used, (batch or 1, pos, width or width / 2); may be scaled, as YaRN's are.
            sin: Sines, likewise scaled.
        """
        cos, sin = self._of_pairs(cos), self._of_pairs(sin)
        scale = cos.square() + sin.square()
        twice_cos = ((cos.square() - sin.square()) / scale)[:, None].to(states.dtype)
        twice_sin = (2 * cos * sin / scale)[:, None].to(states.dtype)
        width = 2 * cos.shape[-1]
        rest = states.shape[-1] - width
        left, right = (rest, 0) if self.last else (0, rest)
        turned = states[..., left : left + width]
        if self.pairs == "halves":
            first, second = turned.chunk(2, -1)
        else:
            first, second = turned[..., ::2], turned[..., 1::2]
        both = first * twice_cos + second * twice_sin, second * twice_cos - first * twice_sin
        turned = torch.cat(both, -1) if self.pairs == "halves" else torch.stack(both, -1).flatten(-2)
        if not rest:
            return turned
        return torch.cat([states[..., :left], turned, states[..., states.shape[-1] - right :]], -1)

    def _of_pairs(self, values: Tensor) -> Tensor:
        values = values.double() if values.dtype is torch.float64 else values.float()
        match self.angles:
            case "all":
                return values
            case "first half":
                return values[..., : values.shape[-1] // 2]
            case "second":
                return values[..., ::2]


def find_cos_sin(args: Sequence[Any], kwargs: Mapping[str, Any]) -> CosSin | None:
    """Return the cosines and sines an attention module is called with, if any."""
    for value in (kwargs.get("position_embeddings"), *args):
        if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(x, Tensor) for x in value):
            return value[0], value[1]
    return None


def with_cos_sin(args: Sequence[Any], kwargs: Mapping[str, Any], given: CosSin) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call with other cosines and sines in their place."""
    own = find_cos_sin(args, kwargs)
    assert own is not None
    is_own = [isinstance(x, (tuple, list)) and len(x) == 2 and x[0] is own[0] for x in args]
    changed = [given if same else x for x, same in zip(args, is_own, strict=True)]
    return changed, {**kwargs, "position_embeddings": given} if not any(is_own) else dict(kwargs)


def recognize(cos: Tensor, sin: Tensor, seen: Sequence[Tensor], wanted: Sequence[Tensor], who: str) -> Rotary | None:
    """Find out how a block turned its queries and keys.

    Args:
        cos: Cosines it was given, for at least 3 positions.
        sin: Sines.
        seen: Its queries and keys.
        wanted: The same with the sines negated.
        who: The block's name, for messages.

    Returns:
        The layout; None if the block does not turn them at all.

    Raises:
        UnsupportedModel: If no layout makes the second from the first.
    """

    def error(found: Sequence[Tensor]) -> float:
        pairs = zip(found, wanted, strict=True)
        return max(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in pairs)

    if not all(float(states.norm()) > 0 for states in seen):
        raise UnsupportedModel(f"{who} gives queries or keys that are all zero.", "Load trained or random weights.")
    if error(seen) < _TOLERANCE:
        return None
    layouts = [
        Rotary(pairs, angles, last)
        for last, pairs, angles in product((False, True), ("halves", "neighbours"), ("all", "first half", "second"))
        if (cos.shape[-1] if angles != "all" else 2 * cos.shape[-1]) <= seen[0].shape[-1]
    ]
    errors = {layout: error([layout.back(x, cos, sin) for x in seen]) for layout in layouts}
    best = min(errors, key=lambda layout: errors[layout], default=None)
    if best is None or errors[best] > _TOLERANCE:
        raise UnsupportedModel(
            f"{who} turns its queries and keys in a way that is not known, so they cannot be turned back.",
            "BICO needs rotary positions in halves or neighbouring pairs, learned positions, or ALiBi.",
        )
    return best
