"""The work of reproducing the reversal curse: a set of people a seed, and one training run a trial.

::

    sets/      a folder a seed, as `obverse reversal build` writes it
    models/    a folder a trial, as `obverse train` writes it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obverse.data.reversal import TRAINING, ReversalSet, read_reversal
from obverse.data.toy_reversal import toy_reversal
from obverse.recipes.repro_reversal_plan import ReversalScale
from obverse.recipes.repro_reversal_work import Work

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel
    from obverse.training.settings import TrainConfig

ROW = 32
"""Tokens of a row at most; a sentence and its reversal have 20 or fewer."""

WORDS = 512
"""Most words of a vocabulary, special tokens included; a set has some 100."""


def prepare(work: Work[ReversalScale]) -> ReversalSet:
    """Return the people of a trial's seed, and write their set unless it is there."""
    if not work.set.is_dir():
        toy_reversal(work.trial.seed, work.settings.entities).write(work.set)
    return read_reversal(work.set)


def trial_config(work: Work[ReversalScale]) -> TrainConfig:
    """Return the settings of a trial's training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    scale, steps = work.settings, max(1, work.trial.steps)
    arm = scale.arm(work.trial.arm)
    warmup = {"warmup_steps": min(int(scale.training.get("warmup_steps", 0)), steps // 2)}
    layer: dict[str, Any] = {
        "data": {"sources": [str(work.set / TRAINING)], "length": ROW, "packing": "documents"},
        "model": {
            "architecture": "llama",
            "settings": {**scale.model, **arm.model},
            "tokenizer": {"kind": "words", "size": WORDS},
        },
        "objective": arm.objective,
        "training": {
            "save_strategy": "no", "logging_steps": 50, "use_cpu": True, **scale.training, **warmup, "max_steps": steps,
        },
        "seed": work.trial.seed,
    }  # fmt: skip
    return train_config(layer)


def train(work: Work[ReversalScale]) -> float | None:
    """Train a trial's model, and return how many CPU-seconds that took; None if it is there already."""
    from obverse.recipes.train_once import train_once

    return train_once(trial_config(work), work.model) if work.trial.steps else 0.0


def trained(work: Work[ReversalScale]) -> LanguageModel:
    """Return a trial's model, which was trained before; of zero steps as it is drawn."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_data import find_sources
    from obverse.recipes.train_model import start_model

    if work.trial.steps:
        return LanguageModel.load(str(work.model), device="cpu")
    config = trial_config(work)
    return start_model(config.model, config.seed, find_sources(config.data, False), None)
