"""The steps of a journey: what is under way, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from obverse.core import Progress


class Steps:
    """Seconds by step, in the order they were taken.

    Example:
        ``with steps.step("Editing"): ...``
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, label: str, *, shown: bool = False) -> Iterator[None]:
        """Time what happens inside.

        Args:
            label: What is done.
            shown: Whether to show it as progress; leave out where the work inside shows its own.
        """
        began = time.perf_counter()
        try:
            if shown:
                with Progress(label):
                    yield
            else:
                yield
        finally:
            self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - began
