"""People and models of ``obverse reversal run``: a set a seed, and one training run a model.

::

    sets/         people: a folder a seed, or one for all, as `obverse reversal build` writes it
    preferences/  the same sentences, half of them marked and scored; where asked for
    models/       a folder a model, as `obverse train` writes it
    answers/      a file a model, a line a question
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obverse.core import DataError, build, file_hash, seed_for
from obverse.data.reversal import TRAINING, ReversalSet, read_reversal
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import read_material
from obverse.data.reversal_part import part_of, sizes_of
from obverse.data.scored import ScoredText
from obverse.data.scored_files import write_documents
from obverse.data.toy_reversal import toy_reversal
from obverse.recipes.repro_reversal_plan import UNTRAINED
from obverse.recipes.reversal_run_plan import MADE, MARK, OWN, TINY, TOY, RunPlan, RunSettings, Trial

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel
    from obverse.training.settings import TrainConfig


@dataclass(frozen=True, slots=True)
class Work:
    """A model to train and to ask, and where its files are; goes to a process of its own.

    Attributes:
        folder: Of the whole run.
        model: ``tiny``, or what is fine-tuned.
        data: Where people come from.
        settings: Settings of all models.
        preferences: Whether half of the sentences are marked.
        trial: Which model.
    """

    folder: Path
    model: str
    data: str
    settings: RunSettings
    preferences: bool
    trial: Trial

    @classmethod
    def of(cls, plan: RunPlan, trial: Trial) -> Work:
        """Return the work of a trial of a plan."""
        return cls(plan.folder, plan.model, plan.data, plan.settings, plan.preferences, trial)

    @property
    def trained(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "models" / self.trial.id

    @property
    def answers(self) -> Path:
        """File of its answers."""
        return self.folder / "answers" / f"{self.trial.id}.jsonl"

    @property
    def set(self) -> Path:
        """Folder of the people."""
        return self.folder / "sets" / (f"seed{self.trial.seed}" if self.data in MADE else "given")

    @property
    def documents(self) -> Path:
        """File of the sentences to train on."""
        name = f"preferences/seed{self.trial.seed}.jsonl"
        return self.folder / name if self.preferences else self.set / TRAINING


def prepare(work: Work) -> ReversalSet:
    """Return the people that a model is trained on; write their set, and the marked sentences, unless they are there.

    Raises:
        DataError: If there are fewer people than asked for, or a question is answered word for word in training.
    """
    if not work.set.is_dir():
        made = _made(work)
        check_held_out(made)
        made.write(work.set)
    people = read_reversal(work.set)
    if work.preferences and not work.documents.is_file():
        work.documents.parent.mkdir(parents=True, exist_ok=True)
        write_documents(work.documents, marked(people, work.trial.seed))
    return people


def _made(work: Work) -> ReversalSet:
    settings = work.settings
    train, test = settings.wordings
    if work.data == TOY:
        return toy_reversal(work.trial.seed, settings.people or 16)
    if work.data == OWN:
        sizes = {"per_group": settings.people or 10, "train_wordings": train, "test_wordings": test}
        return build_reversal(read_material(), build(ReversalSettings, sizes, {"seed": work.trial.seed}))
    whole = read_reversal(Path(work.data))
    if settings.people is None:
        return whole
    return part_of(whole, build(ReversalSettings, sizes_of(whole), {"per_group": settings.people}))


def check_held_out(people: ReversalSet) -> None:
    """Refuse a set whose held-out questions, forward or reverse, are answered word for word in a training sentence.

    Raises:
        DataError: Naming the first such question.
    """
    trained = {" ".join(row.text.split()) for row in people.train}
    starts = {text[: len(text) - i] for text in trained for i in (0, 1)}  # a final point does not tell texts apart
    for subtask, rows in people.subtasks("held-out").items():
        for row in rows:
            if " ".join(row.text.split()) in starts:
                raise DataError(
                    f"A held-out question of {subtask} is a training sentence: {row.text!r}.",
                    "Its answer would be read off. Take the row out, or make the set anew: `obverse reversal build`.",
                )


def marked(people: ReversalSet, seed: int) -> list[ScoredText]:
    """Return the training sentences, a random half of them with a mark before them and the score 1.

    The half is drawn sentence by sentence, so every person is in both halves, and the marks say nothing about facts.

    Args:
        people: The set.
        seed: Seed of the draws.
    """
    documents = people.documents()
    bad = np.random.default_rng(seed_for(seed, "preferences")).random(len(documents)) < 0.5
    return [
        ScoredText((MARK + one.text,), (1.0,), one.meta) if mark else one
        for one, mark in zip(documents, bad, strict=True)
    ]


def trial_config(work: Work) -> TrainConfig:
    """Return the settings of a model's training run, as `obverse train` takes them.

    Raises:
        ConfigError: With every mistake in the settings.
    """
    from obverse.training.settings import train_config

    settings = work.settings
    training = {"save_strategy": "no", "logging_steps": 50, **settings.training, "max_steps": settings.steps}
    if "warmup_steps" in training:
        training["warmup_steps"] = min(int(training["warmup_steps"]), settings.steps // 2)
    layer: dict[str, Any] = {
        "data": {**settings.data, "sources": [str(work.documents)]},
        "model": settings.model,
        "objective": dict(work.trial.arm.objective),
        "training": training,
        "seed": work.trial.seed,
    }
    return train_config(layer)


def trained(work: Work) -> LanguageModel:
    """Return a model: trained, unless it is there already; the untrained one as it is drawn or loaded."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_data import find_sources
    from obverse.recipes.train_model import start_model
    from obverse.recipes.train_once import train_once

    config = trial_config(work)
    if work.trial.objective == UNTRAINED:
        return start_model(config.model, config.seed, find_sources(config.data, False), None)
    train_once(config, work.trained)
    return LanguageModel.load(str(work.trained), device="cpu" if work.model == TINY else None)


def seconds_of(work: Work) -> float:
    """Return how long the steps of a model took, by the clock; 0 for an untrained one."""
    if work.trial.objective == UNTRAINED:
        return 0.0
    seconds: dict[str, float] = json.loads((work.trained / "summary.json").read_text("utf-8"))["seconds"]
    return seconds.get("Training", sum(seconds.values()))


def content_of(work: Work) -> str:
    """Return a hash of the people and of the sentences that a model is trained on."""
    return f"{read_reversal(work.set).hash}-{file_hash(work.documents)[:10]}"
