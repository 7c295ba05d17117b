"""Small values that every room shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What a JSON file can hold."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its number of observations and 95 % interval.

    Attributes:
        mean: Arithmetic mean of the observations.
        low: Lower end of the interval; equal to ``mean`` where n is 1.
        high: Upper end of the interval; equal to ``mean`` where n is 1.
        n: Number of observations.
    """

    mean: float
    low: float
    high: float
    n: int
