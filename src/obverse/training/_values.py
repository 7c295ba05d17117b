"""A value head: how well the model expects what comes next to be scored, read off its last hidden state.

The head is a submodule of the model and its values are a field of the model's output, so that whatever wraps the model
to train it on several devices sees its weight and its gradient. In files it stands apart: `save_pretrained` leaves it
out, `save_value_head` writes it beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from obverse.core import Config, ConfigError, ObverseError, write_whole

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

NAME, FILE = "value_head", "value_head.safetensors"


class ValueHeadConfig(Config):
    """A bias-free linear map from the last hidden state to one number a position."""

    sigmoid: bool = True
    """Whether values are -sigmoid of that number, so between -1 and 0, as rewards of scores between 0 and 1 are."""

    is_detached: bool = False
    """Whether the value loss leaves the rest of the model alone; it trains it too as published."""


class ValueHead(nn.Module):
    """Values of hidden states; the weight starts at zero, so every value at -0.5 (at 0 without sigmoid).

    Args:
        size: Length of a hidden state, as the projection to the vocabulary takes it.
        config: Settings.
        like: Tensor whose device and type the weight gets.

    Source:
        Korbak et al. 2023, `apo/models.py`.
    """

    def __init__(self, size: int, config: ValueHeadConfig, like: Tensor) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.zeros(1, size, device=like.device, dtype=like.dtype))

    def forward(self, hidden: Float[Tensor, "batch pos hidden"]) -> Float[Tensor, "batch pos"]:
        """Return the value of each position."""
        seen = hidden.detach() if self.config.is_detached else hidden
        # Called outside of mixed precision's reach, so the types are made to agree here.
        values = nn.functional.linear(seen.to(self.weight.dtype), self.weight).squeeze(-1)
        return -values.sigmoid() if self.config.sigmoid else values


def attach_value_head(lm: LanguageModel, config: ValueHeadConfig) -> ValueHead:
    """Give a model a value head: from now on its output has ``token_values``, (batch, pos).

    Args:
        lm: Changed in place; the module is ``lm.model.value_head``.
        config: Settings of the head.

    Raises:
        ConfigError: If it has one.
    """
    if hasattr(lm.model, NAME):
        raise ConfigError(f"{lm.name} has a value head already.", "Set up one objective on a model.")
    weight = lm.weight_of(lm.head)
    head = ValueHead(weight.shape[1], config, weight)
    lm.model.add_module(NAME, head)
    ignored: set[str] = set(lm.model._keys_to_ignore_on_save or ())
    lm.model._keys_to_ignore_on_save = ignored | {f"{NAME}.weight"}
    caught: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
        caught[:] = args[:1]

    def add(model: nn.Module, _: Any, output: Any) -> Any:
        if not caught or not isinstance(output, Mapping):
            return output
        values = model.get_submodule(NAME)(caught.pop())
        return _with_values(type(output))(**output, token_values=values)

    lm.head.register_forward_pre_hook(keep)
    lm.model.register_forward_hook(add)
    return head


@cache
def _with_values(output_type: type[Any]) -> type[Any]:
    """Return a type of output with a field more; FSDP and DDP rebuild an output from its type and its fields."""
    name = f"{output_type.__module__}.{output_type.__qualname__}.WithValues"
    return make_dataclass(name.replace(".", "_"), [("token_values", Any, None)], bases=(output_type,))


def token_values(output: Any) -> Float[Tensor, "batch pos"]:
    """Return the values in a model's output.

    Raises:
        ConfigError: If the model has no value head.
    """
    found = getattr(output, "token_values", None)
    if found is None:
        raise ConfigError(
            "A value head is asked for, but the model has none.",
            "Call the objective's setup(lm) before training; a fused loss that skips the projection is not supported.",
        )
    return found


def check_value_head(head: ValueHead) -> None:
    """Refuse, before anything is trained, a head that could not be saved.

    Raises:
        ConfigError: If its weight is a flat piece of a model sharded by FSDP 1.
    """
    if head.weight.ndim != 2:
        raise ConfigError(
            "The value head's weight is a flat piece of a sharded model, which could not be saved.",
            "Use FSDP 2 (fsdp_version: 2 in the settings of accelerate), or an objective without a value head.",
        )


def save_value_head(head: ValueHead, folder: Path) -> None:
    """Write a head to ``value_head.safetensors``; called in every process, the first one writes.

    Raises:
        ObverseError: If the file cannot be written.
    """
    weight = head.weight.detach()
    weight = weight.full_tensor() if isinstance(weight, DTensor) else weight  # FSDP 2
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        write_whole(folder / FILE, lambda path: save_file({"weight": weight.cpu().contiguous()}, path))


@torch.no_grad()
def load_value_head(head: ValueHead, folder: Path) -> None:
    """Read a head that `save_value_head` wrote, in every process.

    Raises:
        ObverseError: If there is none, or it is of another size.
    """
    path = folder / FILE
    if not path.is_file():
        raise ObverseError(f"There is no {FILE} in {folder}.", "Resume from a checkpoint of the same objective.")
    read = load_file(path)["weight"].to(head.weight.device, head.weight.dtype)
    if read.shape != head.weight.shape:
        raise ObverseError(
            f"The value head in {path} is of size {read.shape[-1]}; this model's has {head.weight.shape[-1]}.",
            "Resume from a checkpoint of the same model.",
        )
    if isinstance(head.weight, DTensor):
        read = distribute_tensor(read, head.weight.device_mesh, head.weight.placements)
    head.weight.copy_(read)
