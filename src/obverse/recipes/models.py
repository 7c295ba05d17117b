"""Which model a journey runs on, and how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.core import UnknownName

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by name, and how to load it.

    Attributes:
        name: A built-in model, a GGUF file, a folder or a hub id; None is the default model, or the one that a saved
            edit was made for.
        dtype: Type of the weights; float32 on the CPU and the stored one elsewhere if None.
        device: Where it runs; the first CUDA device if any, else the CPU, if None.
        device_map: How to spread it over devices, in place of ``device``.
        revision: Branch, tag or commit of a hub model.
        trust_remote_code: Whether to run code that comes with the model.
    """

    name: str | None = None
    dtype: str | None = None
    device: str | None = None
    device_map: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False


def load_model(choice: ModelChoice, made_for: str | None = None) -> LanguageModel:
    """Load the model that was chosen.

    Args:
        choice: The model.
        made_for: Name of the base that a saved edit records; taken where no name is chosen.

    Raises:
        UnknownName: If there is no such model.
    """
    from obverse.model.language_model import DEFAULT_MODEL, LanguageModel

    try:
        return LanguageModel.load(
            choice.name or made_for or DEFAULT_MODEL,
            dtype=choice.dtype,
            device=choice.device,
            device_map=choice.device_map,
            revision=choice.revision,
            trust_remote_code=choice.trust_remote_code,
        )
    except UnknownName as error:
        if choice.name or not made_for:
            raise
        hint = f"The edit names this as its base. Say with --model where that model is now. {error.hint}"
        raise UnknownName(error.message, hint) from error
