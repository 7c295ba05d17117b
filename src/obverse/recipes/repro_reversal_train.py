"""The work of reproducing the reversal curse: a set of people a seed, and one training run a trial.

::

    sets/      a folder a seed, as `obverse reversal build` writes it
    models/    a folder a trial, as `obverse train` writes it
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.data.reversal import TRAINING, ReversalSet, read_reversal
from obverse.data.toy_reversal import toy_reversal
from obverse.recipes.repro_reversal_plan import ReversalScale, Trial

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel
    from obverse.training.settings import TrainConfig

ROW = 32
"""Tokens of a row at most; a sentence and its reversal have 20 or fewer."""

WORDS = 512
"""Most words of a vocabulary, special tokens included; a set has some 100."""


@dataclass(frozen=True, slots=True)
class Work:
    """A trial and where its files are; goes to a process of its own.

    Attributes:
        scale: The preset.
        folder: Of the whole reproduction.
        trial: Which model.
    """

    scale: ReversalScale
    folder: Path
    trial: Trial

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "models" / self.trial.id

    @property
    def set(self) -> Path:
        """Folder of the people, who are the same in all trials of a seed."""
        return self.folder / "sets" / f"seed{self.trial.seed}"


def prepare(work: Work) -> ReversalSet:
    """Return the people of a trial's seed, and write their set unless it is there."""
    if not work.set.is_dir():
        toy_reversal(work.trial.seed, work.scale.entities).write(work.set)
    return read_reversal(work.set)


def trial_config(work: Work) -> TrainConfig:
    """Return the settings of a trial's training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    steps, arm = max(1, work.trial.steps), work.scale.arm(work.trial.arm)
    warmup = {"warmup_steps": min(int(work.scale.training.get("warmup_steps", 0)), steps // 2)}
    layer: dict[str, Any] = {
        "data": {"sources": [str(work.set / TRAINING)], "length": ROW, "packing": "documents"},
        "model": {
            "architecture": "llama",
            "settings": {**work.scale.model, **arm.model},
            "tokenizer": {"kind": "words", "size": WORDS},
        },
        "objective": arm.objective,
        "training": {
            "save_strategy": "no", "logging_steps": 50, "use_cpu": True, **work.scale.training, **warmup,
            "max_steps": steps,
        },
        "seed": work.trial.seed,
    }  # fmt: skip
    return train_config(layer)


def train(work: Work) -> float | None:
    """Train a trial's model, and return how many CPU-seconds that took; None if it is there already."""
    from obverse.recipes.train import TrainRequest, run_train

    if not work.trial.steps:
        return 0.0
    if (work.model / "summary.json").is_file():
        return None
    begin = time.process_time()
    run_train(TrainRequest(trial_config(work), work.model, resume=work.model.exists()))
    return time.process_time() - begin


def trained(work: Work) -> LanguageModel:
    """Return a trial's model: trained, unless it is there already; of zero steps as it is drawn."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_data import find_sources
    from obverse.recipes.train_model import start_model

    if work.trial.steps:
        train(work)
        return LanguageModel.load(str(work.model), device="cpu")
    config = trial_config(work)
    return start_model(config.model, config.seed, find_sources(config.data, False), None)
