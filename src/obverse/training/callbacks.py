"""What watches a training run: progress, the log on disk, signals, and measurements at a cadence."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from obverse.core import Progress, storage_errors
from obverse.training.checkpoints import checkpoint_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Entry = Mapping[str, float]
"""Numbers logged at a step."""


def is_first() -> bool:
    """Say whether this is the first of the processes of a run."""
    return PartialState().is_main_process


def is_sharded(model: nn.Module | None) -> bool:
    """Say whether each process holds a part of a model's weights (FSDP), so that it runs in all of them or in none."""
    return model is not None and any(isinstance(weight, DTensor) for weight in model.parameters())


class ShowProgress(TrainerCallback):
    """Shows how far the run has come, and its loss, on the first process."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._note = ""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Begin at the step that is resumed from."""
        if state.is_world_process_zero:
            self._progress = Progress("Training", state.max_steps).__enter__()
            self._progress.advance(state.global_step)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Advance by a step."""
        if self._progress is not None:
            self._progress.advance(1, self._note)

    def on_log(self, *_: Any, logs: dict[str, float] | None = None, **__: Any) -> None:
        """Show the loss."""
        if logs and "loss" in logs:
            self._note = f"loss {logs['loss']:.3f}"

    def close(self) -> None:
        """End the bar, also after an error."""
        if self._progress is not None:
            self._progress.__exit__()
            self._progress = None


class KeepLog(TrainerCallback):
    """Hands what is logged to a function, on the first process; the last step is logged whatever the interval."""

    def __init__(self, keep: Callable[[int, Entry], object]) -> None:
        self._keep = keep

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Let the last step be logged."""
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Hand it on."""
        if logs and state.is_world_process_zero:
            self._keep(state.global_step, logs)


class StopOnSignal(TrainerCallback):
    """Ends the run after the step under way, with a checkpoint, when the process is interrupted or told to end.

    All processes of a run stop at the same step. A second signal ends the process at once.

    Attributes:
        stopped: Whether it was.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._asked = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM inside the block; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._ask) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _ask(self, *_: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop if any process was asked to."""
        processes = PartialState()
        asked = self._asked
        if processes.num_processes > 1:
            asked = bool(reduce(torch.tensor(int(asked), device=processes.device), reduction="sum"))
        if asked:
            self.stopped = control.should_save = control.should_training_stop = True


class MeasureEvery(TrainerCallback):
    """Runs a measurement at a cadence, on the first process while the others wait, and logs its numbers.

    Where each process holds a part of the weights (FSDP), all of them measure; the first one's numbers count.

    Args:
        measure: What is measured at a step.
        prefix: Put before each number's name.
        every: Steps between two measurements; the end is always measured.
        at: Further steps; 0 is before the first one.
    """

    def __init__(self, measure: Callable[[int], Entry], prefix: str, every: int, at: Sequence[int] = ()) -> None:
        self._measure, self._prefix = measure, prefix
        self._every, self._at = every, frozenset(at)
        self.log: Callable[[dict[str, float], float], None] = lambda *_: None
        """Where the numbers go, and the seconds they took: the trainer's ``log_measured``, once there is one."""

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Measure what is there before the first step, if that was asked for."""
        if state.global_step == 0 and 0 in self._at:
            self._take(state, control, model)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Measure if it is time."""
        step = state.global_step
        if step % self._every == 0 or step in self._at or step >= state.max_steps:
            self._take(state, control, model)

    def _take(self, state: TrainerState, control: TrainerControl, model: nn.Module | None) -> None:
        began, first = time.perf_counter(), state.is_world_process_zero
        numbers = self._measure(state.global_step) if first or is_sharded(model) else {}
        PartialState().wait_for_everyone()
        due = control.should_log
        named = {f"{self._prefix}{name}": value for name, value in numbers.items() if first}
        self.log(named, time.perf_counter() - began)
        control.should_log = due  # logging took it for done; the loss of this step is yet to come


class KeepTokenizer(TrainerCallback):
    """Writes the tokenizer beside the weights of each checkpoint, so that it can be loaded as a model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Write it, on the first process."""
        if args.should_save:
            folder = checkpoint_of(Path(str(args.output_dir)), state.global_step)
            with storage_errors(folder):
                self._tokenizer.save_pretrained(folder)
