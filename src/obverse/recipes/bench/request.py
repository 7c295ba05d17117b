"""What a benchmark is asked to do, and what it will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from obverse.core import Config
from obverse.recipes.models import ModelChoice
from obverse.verifying.measures import MeasureConfig

ScheduleKind = Literal["single", "batch", "sequential"]


class Schedule(Config):
    """In what company facts are edited."""

    kind: ScheduleKind = "single"
    """`single`: each fact on the fresh model. `batch`: `size` facts by one edit. `sequential`: `size` facts one upon
    the other, every earlier one asked again as they become more."""
    size: int | None = Field(default=None, ge=1)
    """Facts in one edit or one sequence; by default all of them."""
    step: int = Field(default=1, ge=1)
    """Facts written at each step of a sequence."""

    @model_validator(mode="after")
    def _fits(self) -> Schedule:
        if self.kind == "single" and (self.size is not None or self.step != 1):
            raise ValueError("size and step belong to the schedules batch and sequential")
        if self.kind == "batch" and self.step != 1:
            raise ValueError("step belongs to the schedule sequential")
        return self


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What is asked of `run_bench`.

    Attributes:
        dataset: Name of a data set, or a file of facts.
        methods: Names of editors; the unedited model is always measured too.
        out: Folder of the benchmark; an earlier one is gone on with.
        model: The model.
        path: A file in place of a published data set.
        snippets: CounterFact's file of reference texts.
        tfidf: ROME's published weights of terms: vocabulary and weights.
        limit: How many cases at most.
        first: Pass over so many cases first.
        schedule: In what company facts are edited.
        measure: What is measured.
        overrides: Settings as ``key=value`` for all methods, or ``method.key=value`` for one.
        sweep: Settings as ``key=value,value,...``: each method is run at each value.
        harness: Tasks of lm-evaluation-harness to run on the unedited and on each edited model.
        batch: Cases edited and measured side by side.
        shard: (i, n): do every n-th batch, from the i-th, counted from 0.
        ray: ``local`` or the address of a Ray cluster; None works in this process.
        workers: Workers on the cluster.
        gpus_per_worker: GPUs of each, or the part of one.
        last_wins: Whether the last of several facts about one prompt is kept, where they are edited together.
        replace: Whether an earlier benchmark in the folder is deleted.
        dry_run: Whether to stop after the plan.
    """

    dataset: str
    methods: Sequence[str]
    out: Path
    model: ModelChoice = field(default_factory=ModelChoice)
    path: Path | None = None
    snippets: Path | None = None
    tfidf: tuple[Path, Path] | None = None
    limit: int | None = None
    first: int = 0
    schedule: Schedule = field(default_factory=Schedule)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    overrides: Sequence[str] = ()
    sweep: Sequence[str] = ()
    harness: Sequence[str] = ()
    batch: int = 16
    shard: tuple[int, int] = (0, 1)
    ray: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None
    last_wins: bool = False
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What will be done.

    Attributes:
        model: Name and fingerprint of the model.
        dataset: Name of the data set.
        cases: Number of cases.
        probes: Kind → number of questions.
        schedule: The schedule.
        runs: Label of each run → its settings; the unedited model has none.
        todo: Label → cases still to be done in this shard.
        dropped: Facts that give way to later ones, in words.
    """

    model: str
    dataset: str
    cases: int
    probes: dict[str, int]
    schedule: Schedule
    runs: dict[str, dict[str, object]]
    todo: dict[str, int]
    dropped: tuple[str, ...] = ()
