"""Train a model under an objective: from the settings of a run to a plain Hugging Face folder.

A run's folder::

    run.json               settings, start, versions, machine
    records.00000.jsonl    what was logged, a line a time
    summary.json           what came of it, once it is finished
    config.json, model.safetensors, tokenizer.json ...    the trained model; with adapters: adapter/
    checkpoints/           to go on from
    samples/               what the model wrote at each measurement
    report.html            all of it on one page
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState

from obverse.core import ConfigError, ObverseError, Run, seed_for
from obverse.model._quiet import quiet
from obverse.recipes.record import now, run_record
from obverse.recipes.steps import Steps
from obverse.recipes.train_arguments import set_budget, training_arguments
from obverse.recipes.train_data import find_sources, settled
from obverse.recipes.train_measure import measurements
from obverse.recipes.train_model import save_model, start_model, to_train
from obverse.recipes.train_report import write_train_report
from obverse.recipes.train_result import TrainPlan, TrainResult
from obverse.training import objectives
from obverse.training.callbacks import KeepLog, KeepTokenizer, ShowProgress, StopOnSignal
from obverse.training.checkpoints import checkpoints, step_of
from obverse.training.packing import pack
from obverse.training.sampling import TrainingData
from obverse.training.trainer import ObjectiveTrainer

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from obverse.core import Config
    from obverse.model.language_model import LanguageModel
    from obverse.training.callbacks import MeasureEvery
    from obverse.training.objective import Objective
    from obverse.training.packing import Rows
    from obverse.training.settings import TrainConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What is asked of `run_train`.

    Attributes:
        config: Everything that the result depends on, from `obverse.training.settings.train_config`.
        out: The run's folder.
        resume: Whether to go on with a run that is there.
        replace: Whether a run that is there may be replaced.
        command: The command line that asks.
    """

    config: TrainConfig
    out: Path
    resume: bool = False
    replace: bool = False
    command: str | None = None


def run_train(request: TrainRequest, announce: Callable[[TrainPlan], None] = lambda _: None) -> TrainResult:
    """Train a model and save it; called in every process, where several were launched.

    Args:
        request: What is asked.
        announce: Called with the plan before the training starts, in the first process.

    Raises:
        ObverseError: If what is asked cannot be done, or the disk is full; the last checkpoint is whole.
        RunConflict: If the folder holds a run of other settings; those that differ are named.
        KeyboardInterrupt: If it was interrupted; a checkpoint was written.
    """
    config, steps = request.config, Steps()
    args = training_arguments(config, request.out / "checkpoints")  # first: from here on a process knows which it is
    _check_folder(request)
    ready = _prepare(request, args, steps)
    lm = ready.lm
    with _opened(request, ready.about) as run:
        model = to_train(lm, config.model, ready.new_tokens, config.seed)
        begun = checkpoints(request.out / "checkpoints")
        plan = _plan(config, ready, step_of(begun[-1]) if begun else 0)
        if args.should_save:
            announce(plan)
        log = _Log(run)
        data = TrainingData(ready.rows, ready.objective, _pad(lm), config.seed)
        keep = [KeepLog(log.keep), KeepTokenizer(lm.tokenizer)]
        trainer = ObjectiveTrainer(model, ready.objective, args, data, [*keep, *ready.measured])
        _check_sharded(trainer, bool(ready.measured))
        for callback in ready.measured:
            callback.log = trainer.log_measured
        with steps.step("Training"):
            _train(trainer, begun[-1] if begun else None)
        with steps.step("Writing the model"):
            save_model(trainer, lm, config.model.lora, request.out)
        result = TrainResult(plan, log.last, steps.seconds, request.out)
        if run is not None:
            run.finish({**result.to_json(), "end": now()})
            write_train_report(request.out)
    return result


def _check_folder(request: TrainRequest) -> None:
    """Refuse a folder that cannot be written to, before anything long is done."""
    if request.replace or not PartialState().is_main_process:
        return
    if (request.out / "summary.json").is_file() and request.resume:
        raise ObverseError(
            f"The run in {request.out} is finished.", "Choose another folder with --out, or pass --overwrite."
        )
    if request.out.is_file() or any(request.out.glob("*")):
        Run.open(request.out, request.config.resolved, resume=request.resume).close()


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything that is needed before a step can be made."""

    args: TrainingArguments
    lm: LanguageModel
    about: dict[str, Any]
    objective: Objective
    settings: Config
    new_tokens: range
    rows: Rows
    measured: list[MeasureEvery]


def _prepare(request: TrainRequest, args: TrainingArguments, steps: Steps) -> _Ready:
    """Do what may fail by a mistake in the settings or the corpus; the run's folder is not touched."""
    config, start = request.config, now()
    kind, asked = objectives.load(config.objective_name), config.objective_settings
    with _first():
        with steps.step("Reading the corpus"):
            sources = find_sources(config.data, kind(asked).needs_scores)
            settings = settled(asked, sources, config.data.limit, config.seed)
        with steps.step("Loading the model", shown=True):
            lm = start_model(config.model, config.seed, sources, config.data.limit)
    _check_length(config, lm)
    about = _about(request, lm, start)
    objective: Objective = kind(settings)
    known = len(lm.tokenizer)
    objective.setup(lm, torch.Generator().manual_seed(seed_for(config.seed, "setup")))
    measured = measurements(config, lm, request.out)
    with _first(), steps.step("Packing the corpus"):
        rows = pack(sources, objective, lm.tokenizer, config.data.pack, seed=config.seed)
    set_budget(args, config, len(rows))
    return _Ready(args, lm, about, objective, settings, range(known, len(lm.tokenizer)), rows, measured)


def _check_length(config: TrainConfig, lm: LanguageModel) -> None:
    if lm.context is not None and config.data.length > lm.context:
        raise ConfigError(
            f"data.length: rows of {config.data.length} tokens, but {lm.name} reads {lm.context} tokens at most.",
            "Set a smaller data.length, or the model's context in model.settings if it is drawn anew.",
        )


def _check_sharded(trainer: ObjectiveTrainer, measures: bool) -> None:
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if measures and plugin is not None and plugin.fsdp_version == 1:
        raise ConfigError(
            "evaluation, kl: under FSDP 1 nothing can be measured on the way.",
            "Use FSDP 2 (accelerate launch --fsdp_version 2), or add --override evaluation=null --override kl=null and "
            "measure the folder that comes out: obverse prefs.",
        )


def _first() -> Any:
    """Let the first process do what the others then find done."""
    return PartialState().main_process_first()


def _about(request: TrainRequest, lm: LanguageModel, start: str) -> dict[str, Any]:
    """Return what is worth knowing of a run, in the first process; called before the objective changes the model."""
    if not PartialState().is_main_process:
        return {}
    record = run_record("train", {}, lm, request.config.seed, start)
    about = {key: record[key] for key in record if key not in ("config", "end")}
    return {**about, "command_line": request.command, "processes": PartialState().num_processes}


def _opened(request: TrainRequest, about: dict[str, Any]) -> Any:
    """Open the run's folder, in the first process."""
    if not PartialState().is_main_process:
        return nullcontext()
    settings = request.config.resolved
    return Run.open(request.out, settings, about=about, resume=request.resume, replace=request.replace)


def _pad(lm: LanguageModel) -> int:
    """Return an id to fill gaps with; which one does not matter, since nothing attends to it."""
    known = (lm.tokenizer.pad_token_id, lm.tokenizer.eos_token_id, 0)
    return next(id for id in known if isinstance(id, int))


def _plan(config: TrainConfig, ready: _Ready, resumed: int) -> TrainPlan:
    args, weights = ready.args, list(ready.lm.model.parameters())
    batch = (args.train_batch_size, args.gradient_accumulation_steps, PartialState().num_processes)
    return TrainPlan(
        model=ready.lm.name,
        parameters=(sum(w.numel() for w in weights), sum(w.numel() for w in weights if w.requires_grad)),
        objective={"name": config.objective_name, **ready.settings.model_dump(mode="json")},
        rows=len(ready.rows),
        length=config.data.length,
        batch=batch,
        steps=args.max_steps,
        passes=args.max_steps * batch[0] * batch[1] * batch[2] / len(ready.rows),
        resumed=resumed,
    )


def _train(trainer: ObjectiveTrainer, checkpoint: Path | None) -> None:
    progress, stop = ShowProgress(), StopOnSignal()
    trainer.add_callback(progress)
    trainer.add_callback(stop)
    try:
        with stop.listening(), quiet(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(peft|transformers)\b")
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        progress.close()
    if stop.stopped and trainer.state.global_step < trainer.state.max_steps:
        _log.warning(
            "Stopped after step %d; its checkpoint is written. Go on with --resume.", trainer.state.global_step
        )
        raise KeyboardInterrupt


class _Log:
    """Appends what is logged to a run."""

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self.last: dict[str, float] = {}

    def keep(self, step: int, numbers: Mapping[str, float]) -> None:
        """Append what was logged at a step; steps that are gone through again after a stop are there already."""
        self.last.update(numbers)
        kind = "train" if "loss" in numbers else "end" if "train_runtime" in numbers else next(iter(numbers))
        if self._run is not None and (id := f"{kind.partition('/')[0]} {step}") not in self._run.done():
            finite = {name: value for name, value in numbers.items() if abs(value) < float("inf")}
            self._run.append({"id": id, "step": step, **finite})
