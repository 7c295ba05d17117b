"""Sums over the time between two logs: the statistics of an objective, and how many tokens were seen."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from accelerate.utils import gather_object
from torch import Tensor

from obverse.training.example import IGNORED, Batch


class Tally:
    """Means of an objective's statistics over micro-batches and processes."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor | float, int]] = {}
        self._began, self._tokens = time.perf_counter(), -1

    def add(self, logs: Mapping[str, Tensor]) -> None:
        """Add the statistics of a micro-batch; nothing waits for the device."""
        for name, value in logs.items():
            total, n = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value.detach(), n + 1)

    def leave_out(self, seconds: float) -> None:
        """Leave out a time in which nothing was trained."""
        self._began += seconds

    def take(self, tokens: int) -> dict[str, float]:
        """Return the means since the last time, the tokens seen in all, and their number a second; begin anew."""
        parts = gather_object([{name: (float(total), n) for name, (total, n) in self._sums.items()}])
        means: dict[str, float] = {}
        for name in sorted({name for part in parts for name in part}):
            sums, counts = zip(*(part[name] for part in parts if name in part), strict=True)
            means[name] = sum(sums) / sum(counts)
        now = time.perf_counter()
        if self._tokens >= 0:  # not the time before the first log, in which much is made ready
            means["tokens_per_second"] = (tokens - self._tokens) / (now - self._began)
        self._sums, self._began, self._tokens = {}, now, tokens
        return {**means, "tokens_seen": tokens}


def counts(batch: Batch) -> Tensor:
    """Return how many tokens a batch predicts, and how many it shows (padding is none, a placeholder is one)."""
    predicted = batch["labels"] != IGNORED
    return torch.stack([predicted[:, 1:].sum(), (predicted | (batch["attention_mask"] > 0)).sum()])
