"""The work of reproducing PHF: corpora, tokenizer, and one training run a trial, each in a folder of its own.

::

    corpora/     a JSONL file a seed, share of dirty documents and rate of flipped labels
    tokenizer/   the same for all models
    models/      a folder a trial, as `obverse train` writes it
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import seed_for, whole_folder
from obverse.data.scored import ScoredText
from obverse.data.scored_files import write_documents
from obverse.data.synthetic_pii import flip_labels, pii_documents
from obverse.recipes.repro_phf_plan import REFERENCE, PHFSettings, Trial

if TYPE_CHECKING:
    from obverse.training.settings import TrainConfig

HELD_OUT_SENTENCES = 4
"""Sentences of a held-out document: as many as a row has room for, so that no position is read that was not trained."""


@dataclass(frozen=True, slots=True)
class Work:
    """A trial and where its files are; goes to a process of its own.

    Attributes:
        settings: The preset.
        folder: Of the whole reproduction.
        trial: Which model.
    """

    settings: PHFSettings
    folder: Path
    trial: Trial

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "models" / self.trial.id


def prepare(settings: PHFSettings, folder: Path) -> None:
    """Write the tokenizer of all models, unless it is there."""
    from obverse.model._quiet import quiet
    from obverse.recipes.train_tokenizer import train_tokenizer
    from obverse.training.settings import TokenizerSettings

    if not (folder / "tokenizer").is_dir():
        made = pii_documents(settings.corpus, seed_for(0, "tokenizer"))
        texts = (re.sub(r"\d", " ", document.text) for document in made)  # so that every digit stays a token of its own
        trained = train_tokenizer(TokenizerSettings(kind="bpe", size=settings.vocabulary), texts)
        with whole_folder(folder / "tokenizer") as draft, quiet():
            trained.save_pretrained(draft)


def trial_documents(settings: PHFSettings, trial: Trial) -> Iterator[ScoredText]:
    """Yield what a trial is trained on, with its exact or noisy scores."""
    if trial.arm == REFERENCE:
        assert settings.reference is not None
        clean = settings.corpus.model_copy(update={"documents": settings.reference.documents, "dirty": 0.0})
        return pii_documents(clean, seed_for(trial.seed, REFERENCE))
    corpus = settings.corpus.model_copy(update={"dirty": trial.dirty})
    return (flip_labels(document, trial.flips, trial.seed) for document in pii_documents(corpus, trial.seed))


def held_out(settings: PHFSettings) -> list[ScoredText]:
    """Return the clean documents on which no model was trained."""
    update = {"documents": settings.held_out, "sentences": HELD_OUT_SENTENCES, "dirty": 0.0}
    corpus = settings.corpus.model_copy(update=update)
    return list(pii_documents(corpus, seed_for(0, "held out")))


def trial_config(work: Work) -> TrainConfig:
    """Return the settings of a trial's training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    settings, trial = work.settings, work.trial
    layer: dict[str, Any] = {
        "data": {"sources": [str(_corpus(work.folder, trial))], "length": settings.length},
        "model": {
            "architecture": "gpt2",
            "settings": {"n_positions": settings.length, **settings.model},
            "tokenizer": str(work.folder / "tokenizer"),
        },
        "objective": settings.arms.get(trial.arm, {"name": "mle"}),
        "training": {"save_strategy": "no", "logging_steps": 50, **settings.training},
        "seed": trial.seed,
    }
    if trial.arm == REFERENCE and settings.reference is not None:
        other = {"model": {"settings": settings.reference.model}, "training": settings.reference.training}
        return train_config(layer, other)
    return train_config(layer)


def train(work: Work) -> None:
    """Train a trial's model, unless it is there; of one that was stopped nothing is kept, since it takes seconds."""
    from obverse.recipes.train_once import train_once

    corpus = _corpus(work.folder, work.trial)
    if not corpus.is_file():
        corpus.parent.mkdir(parents=True, exist_ok=True)
        write_documents(corpus, trial_documents(work.settings, work.trial))
    train_once(trial_config(work), work.model)


def trained_seconds(work: Work) -> float:
    """Return how long the steps of a trial took."""
    seconds: dict[str, float] = json.loads((work.model / "summary.json").read_text("utf-8"))["seconds"]
    return seconds.get("Training", sum(seconds.values()))


def _corpus(folder: Path, trial: Trial) -> Path:
    name = REFERENCE if trial.arm == REFERENCE else f"dirty{trial.dirty:g}-flips{trial.flips:g}-seed{trial.seed}"
    return folder / "corpora" / f"{name}.jsonl"
