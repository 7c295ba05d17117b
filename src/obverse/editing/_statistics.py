"""Running means and deviations of vectors, by which editors normalize what they read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_EPS = torch.finfo(torch.float32).eps


@dataclass(frozen=True, slots=True)
class Statistics:
    """Running mean and deviation of vectors, entry by entry (Chan et al. 1979), in float64."""

    count: int
    mean: Float[Tensor, " dim"]
    squares: Float[Tensor, " dim"]

    @classmethod
    def empty(cls, like: Float[Tensor, "row dim"]) -> Statistics:
        """Return the statistics of nothing."""
        zero = torch.zeros(like.shape[1], dtype=torch.float64, device=like.device)
        return cls(0, zero, zero)

    def add(self, rows: Float[Tensor, "row dim"]) -> Statistics:
        """Return the statistics with some rows more."""
        rows = rows.double()
        n, total = len(rows), self.count + len(rows)
        step = rows.mean(0) - self.mean
        within = (rows - rows.mean(0)).square().sum(0)
        squares = self.squares + within + step.square() * self.count * n / total
        return Statistics(total, self.mean + step * n / total, squares)

    def normalized(self, rows: Float[Tensor, "row dim"], eps: float = _EPS) -> Float[Tensor, "row dim"]:
        """Return rows less the mean, over the deviation (unbiased) and ``eps``; float64."""
        deviation = (self.squares / max(self.count - 1, 1)).sqrt()
        return (rows.double() - self.mean) / (deviation + eps)
