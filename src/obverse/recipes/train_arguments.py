"""From the settings of a run to the arguments of transformers' ``Trainer``: batch, accumulation, steps."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainingArguments

from obverse.core import ConfigError, UnknownName
from obverse.training.settings import TrainConfig

_log = logging.getLogger(__name__)

BATCH = 8
"""Rows of a device, as published; fewer if ``effective_batch_size`` is smaller."""

DEFAULTS: dict[str, Any] = {"logging_steps": 10, "save_total_limit": 1, "per_device_train_batch_size": BATCH}
"""Arguments that differ from those of transformers. One checkpoint is kept: the folder itself is the model."""


def training_arguments(config: TrainConfig, folder: Path) -> TrainingArguments:
    """Return the arguments of a run; its steps are set by `set_budget`.

    Args:
        config: The run's settings.
        folder: Where checkpoints go.

    Raises:
        ConfigError: If transformers refuses a value, or a tracker is not installed.
        UnknownName: If there is no such tracker.
    """
    _check_trackers(config.report_to)
    given = {**DEFAULTS, **config.training.arguments}
    batch = config.training.effective_batch_size
    if batch and "per_device_train_batch_size" not in config.training.arguments:
        given["per_device_train_batch_size"] = min(BATCH, max(1, batch // PartialState().num_processes))
    try:
        args = TrainingArguments(
            output_dir=str(folder),
            seed=config.seed,
            report_to=list(config.report_to),
            disable_tqdm=True,
            remove_unused_columns=False,
            run_name=folder.parent.name,
            **given,
        )
        args.bf16 = _has_bf16(args) if config.training.bf16 == "auto" else config.training.bf16
    except (ValueError, TypeError, ImportError, KeyError, AttributeError) as error:
        raise ConfigError(f"training: {error}", "See the TrainingArguments of transformers.") from error
    if args.device.type == "cpu":
        args.dataloader_pin_memory = False
    if args.n_gpu > 1:
        _log.warning("One of %d devices is used; accelerate launch uses them all.", args.n_gpu)
        args._n_gpu = 1  # else threads of one process would share the hooks of one model
    return args


def _check_trackers(names: Sequence[str]) -> None:
    from transformers.integrations import integration_utils

    installed = integration_utils.get_available_reporting_integrations()
    for name in names:
        if name not in integration_utils.INTEGRATION_TO_CALLBACK:
            raise UnknownName.among("tracker", name, integration_utils.INTEGRATION_TO_CALLBACK)
        if name not in installed:
            raise ConfigError(f"report_to: {name} is not installed.", f"Install it: pip install {name}")


def set_budget(args: TrainingArguments, config: TrainConfig, rows: int) -> None:
    """Set accumulation and steps.

    ``max_steps`` counts if it was given; else ``num_tokens`` less those skipped, by rows of ``data.length``; else
    passes over the rows. The batch is that of all processes, so their number changes no step.

    Args:
        args: Changed in place.
        config: The run's settings.
        rows: Rows of the corpus.

    Raises:
        ConfigError: If the effective batch cannot be made of whole batches, or the budget is less than a step.

    Source:
        Korbak et al. 2023, `train.py`.
    """
    training = config.training
    group = args.train_batch_size * PartialState().num_processes
    if training.effective_batch_size:
        if training.effective_batch_size % group:
            raise ConfigError(
                f"training.effective_batch_size: {training.effective_batch_size} rows cannot be made of batches of "
                f"{args.train_batch_size} on {PartialState().num_processes} processes.",
                "Choose a per_device_train_batch_size that divides it.",
            )
        args.gradient_accumulation_steps = training.effective_batch_size // group
    batch = group * args.gradient_accumulation_steps
    if args.max_steps <= 0:
        args.max_steps = _steps(config, rows, batch, args.num_train_epochs)


def _steps(config: TrainConfig, rows: int, batch: int, passes: float) -> int:
    tokens = config.training.num_tokens
    if tokens is None:
        return max(1, math.ceil(rows * passes / batch))
    steps = (tokens - config.data.skip_tokens) // (batch * config.data.length)
    if steps < 1:
        raise ConfigError(
            f"training.num_tokens: {tokens:,}, less {config.data.skip_tokens:,} skipped, are less than a step of "
            f"{batch} rows of {config.data.length}.",
            "Give more tokens, or a smaller batch.",
        )
    return steps


def _has_bf16(args: TrainingArguments) -> bool:
    from transformers.utils.import_utils import is_torch_bf16_gpu_available

    return args.device.type == "cuda" and is_torch_bf16_gpu_available()
