"""Checkpoints that are either whole or absent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import ObverseError, storage_errors

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import TrainingArguments


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the latest last; half-written ones have other names."""
    return sorted((path for path in folder.glob("checkpoint-*") if path.name[11:].isdecimal()), key=step_of)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint after a step is written."""
    return folder / f"checkpoint-{step}"


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


@contextmanager
def whole_checkpoint(args: TrainingArguments, step: int, accelerator: Accelerator) -> Iterator[Path]:
    """Let the Trainer write a checkpoint beside its place; it is renamed only if the block ends without an error.

    Older ones beyond ``save_total_limit`` go after that, not before.

    Raises:
        ObverseError: If the disk is full or cannot be written; the earlier checkpoints are as they were.
    """
    folder = Path(str(args.output_dir))
    name = checkpoint_of(folder, step).name
    draft = folder / ".part"
    args.output_dir = str(draft)
    try:
        with storage_errors(folder / name), _torch_errors(folder / name):
            yield draft / name
            (draft / name / "training_args.bin").unlink(missing_ok=True)  # pickled; never read again
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        args.output_dir = str(folder)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder / name, ignore_errors=True)  # one of the same step, from before
        (draft / name).rename(folder / name)
        shutil.rmtree(draft, ignore_errors=True)
        if args.save_total_limit:
            for old in checkpoints(folder)[: -args.save_total_limit]:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()


@contextmanager
def _torch_errors(path: Path) -> Iterator[None]:
    """Say what torch means when its own writer fails, which keeps the system's reason to itself."""
    try:
        yield
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error):
            raise
        raise ObverseError(
            f"{path} could not be written: {str(error).splitlines()[0]}",
            "The disk is likely full: free some space or choose another folder, and go on with --resume.",
        ) from error
