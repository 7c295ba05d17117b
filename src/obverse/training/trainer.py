"""The one trainer: transformers' ``Trainer``, with the loss of an objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from obverse.training._tally import Tally, counts
from obverse.training.checkpoints import whole_checkpoint
from obverse.training.objective import Objective
from obverse.training.sampling import DrawSampler, TrainingData


class ObjectiveTrainer(Trainer):
    """Minimize an objective.

    The loss of a step is the sum of the totals of all its micro-batches and processes over the sum of their counts, so
    neither padding, packing, accumulation nor the number of processes changes it.

    Args:
        model: The model; the weights to be trained ask for gradients.
        objective: The objective, set up on that model.
        args: Budget and optimizer; ``max_steps`` is set.
        data: The rows.
        callbacks: What watches.
    """

    loss_is_scaled_for_ga = True
    train_dataset: TrainingData

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        args: TrainingArguments,
        data: TrainingData,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        super().__init__(model, args, cast("Any", data.collate), data, callbacks=[*callbacks])
        self.model_accepts_loss_kwargs = True  # what older versions ask in place of loss_is_scaled_for_ga
        for talkative in (PrinterCallback, ProgressCallback):
            self.remove_callback(talkative)
        self.objective = objective.to(args.device)
        self._tally = Tally()
        self._tokens = torch.zeros((), dtype=torch.int64, device=args.device)

    def _get_train_sampler(self, train_dataset: Any = None) -> DrawSampler:
        group = self.args.train_batch_size * self.accelerator.num_processes
        rows = group * self.args.gradient_accumulation_steps * self.args.max_steps
        return DrawSampler(self.train_dataset, group, rows)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """Return the micro-batches of a step, and how many tokens they predict in all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        here = sum((counts(batch).to(device) for batch in batches), torch.zeros(2, dtype=torch.int64, device=device))
        predicted, seen = self.accelerator.reduce(here)
        self._tokens += seen
        return batches, predicted

    def compute_loss(self, model: nn.Module, inputs: Any, *_: Any, num_items_in_batch: Any = None, **__: Any) -> Tensor:
        """Return a micro-batch's part of the step's loss, times the processes, over which gradients are averaged."""
        loss = self.objective(model, inputs)
        self._tally.add(loss.logs)
        return loss.total * (self.accelerator.num_processes / num_items_in_batch.clamp_min(1))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the objective's statistics and the tokens seen to what is logged."""
        if "loss" in logs:
            logs.update(self._tally.take(self._tokens_seen()))
        super().log(logs, start_time)

    def log_measured(self, numbers: dict[str, float], seconds: float) -> None:
        """Log what was measured between two steps; the time it took is none of training."""
        self._tally.leave_out(seconds)
        self.log(numbers)

    def _tokens_seen(self) -> int:
        self.state.num_input_tokens_seen += int(self._tokens)
        self._tokens.zero_()
        return int(self.state.num_input_tokens_seen)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self._tokens_seen()
        with whole_checkpoint(self.args, self.state.global_step, self.accelerator) as draft:
            super()._save_checkpoint(model, trial)
            self.objective.save(draft)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.objective.load(Path(resume_from_checkpoint))
