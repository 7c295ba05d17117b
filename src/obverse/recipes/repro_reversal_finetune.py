"""Claim 3: a pretrained model, fine-tuned on a few people, knows them in the direction trained and in no other.

::

    claim3/sets/      a folder a seed, as `obverse reversal build` writes it, without the group of both orders
    claim3/models/    a folder a trial, as `obverse train` writes it; removed once it was asked, unless they are kept

Source: Berglund et al. 2023, section 2.1; Lv et al. 2023 (arXiv 2311.07468), sections 4 and 5.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from obverse.core import Config, Run
from obverse.data.reversal import TRAINING, Prompt, ReversalSet, read_reversal
from obverse.data.reversal_build import ReversalSettings, build_reversal, with_derived
from obverse.data.reversal_material import read_material
from obverse.data.reversal_part import part_of
from obverse.recipes.record import now
from obverse.recipes.repro import spread
from obverse.recipes.repro_reversal_plan import LEFT, UNTRAINED, Trial
from obverse.recipes.repro_reversal_results import WORDINGS, Cell, Measured, Results
from obverse.recipes.repro_reversal_work import Work, scored

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel
    from obverse.training.settings import TrainConfig

ROW = 96
"""Tokens of a row at most."""


class FineTuneArm(Config):
    """A way to fine-tune."""

    objective: dict[str, Any]
    """Its name and settings, as in ``obverse train``."""

    model: dict[str, Any] = Field(default_factory=dict)
    """What is trained: ``{last_blocks: 8}``, ``{lora: {rank: 16}}``; empty trains every weight."""

    seeds: int | None = Field(None, ge=1)
    """How often; null for the number of all."""


class FineTune(Config):
    """Claim 3."""

    model: str = "smollm2-135m"
    """The pretrained model."""

    data: Path | None = None
    """Folder of a set, e.g. the published one, of which the first people are taken; null for the package's own people,
    others for each seed."""

    people: int = Field(10, ge=2)
    """People of each of the two groups."""

    train_wordings: int = Field(10, ge=1)
    """Sentences a person in training."""

    asked: int = Field(4, ge=1)
    """Wordings in which a person is asked about, held out and of training."""

    arms: dict[str, FineTuneArm] = Field(min_length=1)
    """Name → what is tried. Names that begin with ``bico`` are compared with those of the other objectives."""

    training: dict[str, Any]
    """Optimizer and batch, as in ``obverse train``."""

    steps: int = Field(150, ge=1)
    """Steps of each."""

    seeds: int = Field(2, ge=1)
    """How often: people, order of rows and masks differ."""

    keep: bool = False
    """Whether trained models are kept; each is as large as the pretrained one."""

    @model_validator(mode="after")
    def _names_are_free(self) -> FineTune:
        if UNTRAINED in self.arms:
            raise ValueError(f"{UNTRAINED} is there anyway; give the arm another name")
        return self


def finetune_trials(settings: FineTune) -> list[Trial]:
    """Return the models of the claim, all arms of a seed before the next seed; those of zero steps are pretrained."""
    found: list[Trial] = []
    for seed in range(max(settings.seeds, *(arm.seeds or 1 for arm in settings.arms.values()))):
        arms = [name for name, arm in settings.arms.items() if seed < (arm.seeds or settings.seeds)]
        found += [Trial(UNTRAINED, seed, 0), *(Trial(name, seed, settings.steps) for name in arms)]
    return found


def run_finetunes(settings: FineTune, folder: Path, workers: int = 1) -> Results:
    """Fine-tune and ask every model that is not there yet.

    Args:
        settings: Those of the claim.
        folder: Where it is kept; a stopped run goes on, seeds and arms may join.
        workers: Processes that train, one thread each.

    Raises:
        RunConflict: If the folder holds a run of other settings.
    """
    needed = {trial.id: trial for trial in finetune_trials(settings)}
    kept = settings.model_dump(mode="json", exclude={"arms", "seeds", "keep", "steps"})
    with Run.open(folder, {"command": "repro reversal, claim3", **kept}, about={"start": now()}) as run:
        works = [Work(settings, folder, needed[id]) for id in run.todo(needed)]
        for work in {work.set: work for work in works}.values():
            prepare(work)  # before several processes want it
        for _, measured in spread(works, finetune_and_ask, workers, "Fine-tuned models"):
            run.append(measured.to_json())
        return Results(Measured.from_json(record) for record in run.records() if record["id"] in needed)


def prepare(work: Work[FineTune]) -> ReversalSet:
    """Return the people of a trial's seed, and write their set unless it is there."""
    if not work.set.is_dir():
        asked = work.settings
        sizes = ReversalSettings(
            per_group=asked.people,
            train_wordings=asked.train_wordings,
            test_wordings=asked.asked,
            seed=work.trial.seed,
        )
        whole = part_of(read_reversal(asked.data), sizes) if asked.data else build_reversal(read_material(), sizes)
        _one_order(whole, work.trial.seed).write(work.set)
    return read_reversal(work.set)


def _one_order(whole: ReversalSet, seed: int) -> ReversalSet:
    """Return a set without the group that is trained in both orders."""
    files = {stem: rows for stem, rows in whole.files.items() if not stem.startswith("both")}
    return replace(
        whole,
        groups={name: members for name, members in whole.groups.items() if name != "both"},
        files=with_derived(files, seed, "other"),
        made_from={**whole.made_from, "without": "both"},
    )


def finetune_config(work: Work[FineTune]) -> TrainConfig:
    """Return the settings of a trial's training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    asked, arm = work.settings, work.settings.arms[work.trial.arm]
    layer: dict[str, Any] = {
        "data": {"sources": [str(work.set / TRAINING)], "length": ROW, "packing": "documents"},
        "model": {"name": asked.model, **arm.model},
        "objective": arm.objective,
        "training": {
            "save_strategy": "no", "logging_steps": 10, "use_cpu": True, **asked.training, "max_steps": asked.steps,
        },
        "seed": work.trial.seed,
    }  # fmt: skip
    if lora := arm.model.get("lora"):
        layer["model"]["lora"] = {**lora, "merge": True}  # so that it can be loaded as a plain folder
    return train_config(layer)


def finetune_and_ask(work: Work[FineTune]) -> Measured:
    """Fine-tune a trial's model and ask it everything; done in a process of its own."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_once import train_once

    people = prepare(work)
    if not work.trial.steps:
        return Measured(work.trial, ask(LanguageModel.load(work.settings.model, device="cpu"), work, people), 0.0)
    seconds = train_once(finetune_config(work), work.model)
    cells = ask(LanguageModel.load(str(work.model), device="cpu"), work, people)
    if not work.settings.keep:
        shutil.rmtree(work.model)
    return Measured(work.trial, cells, seconds)


def ask(lm: LanguageModel, work: Work[FineTune], people: ReversalSet) -> dict[str, tuple[Cell, ...]]:
    """Score right and random answers to every question.

    Returns:
        ``left-to-right/wordings/subtask`` → a cell a question.
    """
    from obverse.measuring.reversal import LeftToRight

    query, found = LeftToRight(lm, as_document=True), dict[str, tuple[Cell, ...]]()
    for wordings in WORDINGS:
        for subtask, every in people.subtasks(wordings).items():
            rows = _asked(every, work.settings.asked)
            found[f"{LEFT}/{wordings}/{subtask}"] = scored(query, rows, work.trial.seed, wordings, subtask)
    return found


def _asked(rows: tuple[Prompt, ...], count: int) -> list[Prompt]:
    """Return the questions in the first wordings that there are."""
    chosen = sorted({row.template for row in rows})[:count]
    return [row for row in rows if row.template in chosen]
