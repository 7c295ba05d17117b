"""Who may attend to whom in a pass that sees both sides."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which keys each query of a batch sees, and which of them count as standing after it.

    Attributes:
        visible: Keys that may be seen at all.
        prefix: Length of each row's part that every position sees whole; None: all of it.
        positions: Position ids, of each row or one for all; None: 0, 1, ...
        flip: Whether keys after a query are turned as if they were before it.
        fused: Whether fused kernels may be used; False computes every score by the definition.
        causal: Whether no query sees a key after it.
        whole: Whether every query sees every key.
    """

    visible: Bool[Tensor, "batch pos"]
    prefix: Int[Tensor, " batch"] | None = None
    positions: Int[Tensor, "rows pos"] | None = None
    flip: bool = True
    fused: bool = True
    causal: bool = False
    whole: bool = False
    _made: dict[object, Tensor] = field(default_factory=dict[object, Tensor], compare=False, repr=False)

    @classmethod
    def of(
        cls,
        visible: Bool[Tensor, "batch pos"],
        prefix: Int[Tensor, " batch"] | None = None,
        positions: Int[Tensor, "rows pos"] | None = None,
        *,
        flip: bool = True,
        fused: bool = True,
    ) -> Pattern:
        """Make a pattern, and look once at what would else be asked in every block; arguments as the class has."""
        if positions is not None and _counting(positions):
            positions = None
        causal = prefix is not None and positions is None and not bool(prefix.any())
        whole = prefix is None and bool(visible.all())
        return cls(visible, prefix, positions, flip, fused, causal, whole)

    def ahead(self) -> Bool[Tensor, "batch pos"]:
        """Return the keys that queries before them may see."""
        if self.prefix is None:
            return self.visible
        index = torch.arange(self.visible.shape[1], device=self.visible.device)
        return self.visible & (index < self.prefix[:, None])

    def distance(self) -> Int[Tensor, "rows pos pos"]:
        """Return how far each key is after its query; negative before it. One row if all are alike."""
        if self.positions is None:
            places = torch.arange(self.visible.shape[1], device=self.visible.device)[None]
        else:
            places = self.positions.expand_as(self.visible)
        return places[:, None, :] - places[:, :, None]

    def allowed(self, window: int | None = None) -> Bool[Tensor, "batch pos pos"]:
        """Return which keys (last axis) each query sees; with a window, none that is `window` or more away.

        A query with nothing to see in its window sees itself, so that what it gives does not depend on padding.
        """
        index = torch.arange(self.visible.shape[1], device=self.visible.device)
        away = index[None, :] - index[:, None]
        seen = torch.where(away[None] > 0, self.ahead()[:, None, :], self.visible[:, None, :])
        if window is None:
            return seen
        near = seen & (away.abs() < window)[None]
        return near | (~near.any(-1, keepdim=True) & (away == 0)[None])

    def additive(self, allowed: Bool[Tensor, "..."], dtype: torch.dtype, key: object) -> Float[Tensor, "..."]:
        """Return a mask to add to scores, made once a pass.

        What is hidden gets half the smallest number instead of minus infinity: a query that sees nothing on one side
        then gives no NaN, and its share of the result is still exactly 0.
        """
        made = self._made.get((key, dtype))
        if made is None:
            hidden = torch.finfo(dtype).min / 2
            made = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, hidden)
            self._made[key, dtype] = made
        return made

    def to(self, device: torch.device) -> Pattern:
        """Return the pattern on a device; itself if it is there."""
        if self.visible.device == device:
            return self
        prefix, positions = (None if x is None else x.to(device) for x in (self.prefix, self.positions))
        return Pattern(self.visible.to(device), prefix, positions, self.flip, self.fused, self.causal, self.whole)


def _counting(positions: Int[Tensor, "batch pos"]) -> bool:
    """Whether position ids stand in the order of the tokens."""
    return bool((positions.diff(dim=1) >= 0).all())
