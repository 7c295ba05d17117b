"""Settings of how long and how a model is trained: a budget, and the fields of transformers' ``TrainingArguments``."""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model
from transformers import TrainingArguments

from obverse.core import Config


def _whole(value: Any) -> Any:
    """Read 3.3e9, which YAML takes for a text, as the whole number it is."""
    try:
        number = float(value) if isinstance(value, str | float) else value
    except ValueError:
        return value
    return int(number) if isinstance(number, float) and number.is_integer() else value


Count = Annotated[int, BeforeValidator(_whole)]
"""A whole number that may be written as 3.3e9."""


class TrainingSettings(Config):
    """The budget, and any field of transformers' ``TrainingArguments`` by its name."""

    num_tokens: Count | None = Field(default=None, ge=1)
    """Tokens of the corpus to train on, those of ``data.skip_tokens`` counted; sets the number of steps. ``max_steps``
    goes before it, ``num_train_epochs`` after it."""

    effective_batch_size: int | None = Field(default=None, ge=1)
    """Rows a step, over all processes; sets the accumulation."""

    bf16: bool | Literal["auto"] = False
    """Mixed precision in bfloat16; ``auto``: where the device has it."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The fields of ``TrainingArguments`` that were given."""
        return self.model_dump(exclude_unset=True, exclude=set(TrainingSettings.model_fields))


_OURS = {
    "output_dir", "run_name", "seed", "data_seed", "report_to", "disable_tqdm", "remove_unused_columns", "label_names",
    "do_train", "do_eval", "do_predict", "resume_from_checkpoint", "local_rank", "load_best_model_at_end",
    "train_sampling_strategy", "length_column_name", "label_smoothing_factor", "prediction_loss_only", "log_level",
    "log_level_replica", "push_to_hub", "auto_find_batch_size", "average_tokens_across_devices", "bf16",
    "dataloader_drop_last", "enable_jit_checkpoint", "ignore_data_skip", "include_num_input_tokens_seen",
}  # fmt: skip
"""Fields of ``TrainingArguments`` that the run decides itself, or that would make it another thing."""

_OUR_KINDS = (
    "eval_", "hub_", "metric_", "greater_", "include_for", "batch_eval", "per_device_eval", "bf16_full", "fp16_full"
)  # fmt: skip

PLAIN = {"use_attribute_docstrings": False}
"""For types made on the spot: they have no source in which docstrings could be looked for, which takes long."""


@cache
def training_type() -> type[TrainingSettings]:
    """Return `TrainingSettings` with every field of ``TrainingArguments`` that a user may set."""
    types = typing.get_type_hints(TrainingArguments)
    fields: dict[str, Any] = {
        field.name: (types[field.name] | None, None)
        for field in dataclasses.fields(TrainingArguments)
        if field.init and field.name not in _OURS and not field.name.startswith(_OUR_KINDS)
    }
    return create_model("TrainingSettings", __base__=TrainingSettings, __cls_kwargs__=PLAIN, **fields)
