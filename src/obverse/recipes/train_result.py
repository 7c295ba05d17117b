"""What a training run is going to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What will be done.

    Attributes:
        model: Name of the start.
        parameters: Weights in all, and those that are trained.
        objective: Name and settings of the objective, with numbers for what was left to the corpus.
        rows: Rows of the corpus.
        length: Tokens in a row.
        batch: Rows a step: of a device, times accumulation, times processes.
        steps: Optimizer steps.
        passes: How often each row is seen.
        resumed: Step that is gone on from; 0 for a new run.
    """

    model: str
    parameters: tuple[int, int]
    objective: Mapping[str, Any]
    rows: int
    length: int
    batch: tuple[int, int, int]
    steps: int
    passes: float
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of it.

    Attributes:
        plan: What was done.
        numbers: What was logged last, by name.
        seconds: Time by step.
        folder: The run's folder; a model's folder, unless adapters were trained and not merged.
    """

    plan: TrainPlan
    numbers: Mapping[str, float]
    seconds: Mapping[str, float]
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "plan": asdict(self.plan),
            "numbers": dict(self.numbers),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder),
        }
