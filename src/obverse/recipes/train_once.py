"""Train a model that others are to be compared with: once, whatever stopped the work before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.recipes.train import TrainRequest, run_train

if TYPE_CHECKING:
    from obverse.training.settings import TrainConfig


def train_once(config: TrainConfig, folder: Path) -> float | None:
    """Train a model unless its folder holds it already; one that was stopped goes on.

    Args:
        config: Everything that the result depends on.
        folder: The run's folder, as `run_train` writes it.

    Returns:
        CPU-seconds that it took now; None if the model was there.
    """
    if (folder / "summary.json").is_file():
        return None
    begin = time.process_time()
    run_train(TrainRequest(config, folder, resume=folder.exists()))
    return time.process_time() - begin
