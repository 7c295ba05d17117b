"""Load a language model by name, folder or file, and know what it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from torch import nn

from obverse.core import ConfigError, ObverseError, UnsupportedModel
from obverse.model._quiet import quiet
from obverse.model._source import Source, find_source, not_found, read_config
from obverse.model.architecture import Architecture
from obverse.model.fingerprint import Fingerprint, config_hash, files_hash, memory_hash, weight_files
from obverse.model.gguf import converted_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_log = logging.getLogger(__name__)

DEFAULT_MODEL = "gemma-3-270m"


class LanguageModel:
    """A decoder language model with its tokenizer, and the map of its parts.

    Example:
        ``lm = LanguageModel.load()`` gives the default model, ``LanguageModel.load("gpt2")`` one of the hub,
        ``LanguageModel.load("model.gguf")`` one in a file, ``LanguageModel(model, tokenizer)`` one already in memory.

    Args:
        model: The model. It is put into evaluation mode and its weights no longer ask for gradients.
        tokenizer: Its tokenizer; never changed.
        name: What to call the model in messages and records.
        revision: Commit of the hub it came from, if known.
        architecture: The map of its parts, for families that cannot be read; found when first needed if not given.
        folder: Where its files are, if it was loaded; they then say what it is.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        name: str = "in-memory",
        revision: str | None = None,
        *,
        architecture: Architecture | None = None,
        folder: Path | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision
        self._folder = folder
        self._cache: Path | None = None
        self._fingerprint: Fingerprint | None = None
        if architecture is not None:
            self.architecture = architecture

    @classmethod
    def load(
        cls,
        name: str | Path = DEFAULT_MODEL,
        *,
        dtype: str | torch.dtype | None = None,
        device: str | None = None,
        device_map: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        cache: Path | None = None,
    ) -> LanguageModel:
        """Load a model.

        Args:
            name: A built-in model, a GGUF file, a folder with ``config.json``, or a hub id.
            dtype: Type of the weights, e.g. ``"bfloat16"``; ``"auto"`` is the one they are stored in. By default
                float32 on the CPU and "auto" elsewhere.
            device: E.g. ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; by default the first CUDA device if any.
            device_map: How to spread a large model over devices, e.g. ``"auto"``; in place of ``device``.
            revision: Branch, tag or commit of a hub model.
            trust_remote_code: Run code that comes with the model.
            cache: Folder for converted models; the user's by default.

        Raises:
            UnknownName: If nothing of that name is found.
            UnsupportedModel: If what is found is no decoder language model in safetensors or GGUF.
            ConfigError: If the device or dtype is unknown or absent here.
            ObverseError: If the cache cannot be written or the memory does not suffice.
        """
        place = {"": pick_device(device)} if device_map is None else device_map
        if device_map is not None and device is not None:
            raise ConfigError(f"Both device={device!r} and device_map={device_map!r} are given.", "Give one of them.")
        on_cpu = isinstance(place, dict) and place[""].type == "cpu"
        chosen = pick_dtype(dtype) if dtype is not None else (torch.float32 if on_cpu else "auto")
        source = find_source(name, revision, cache)
        if revision is not None and source.folder is not None:
            _log.warning("%s is not read from the hub, so revision %s says nothing about it.", name, revision)
        config = read_config(source, trust_remote_code)
        model, tokenizer = _read(source, chosen, None if on_cpu else place, trust_remote_code)
        commit = getattr(config, "_commit_hash", None) or source.revision
        lm = cls(model, tokenizer, source.name, commit, folder=source.files(commit))
        lm._cache = cache
        return lm

    @cached_property
    def architecture(self) -> Architecture:
        """The map of the model's parts, found on first use."""
        return Architecture.detect(self.model)

    @property
    def folder(self) -> Path | None:
        """Where its files are; None if it was made in memory or its weights were changed."""
        return self._folder

    @property
    def device(self) -> torch.device:
        """Where inputs go: the device of the input embedding."""
        return self._embedding.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the input embedding, and so of the hidden states."""
        return self._embedding.dtype

    @property
    def fingerprint(self) -> Fingerprint:
        """What model this is: computed on first use, from the files it came from or else from its weights."""
        if self._fingerprint is None:
            files = weight_files(self._folder) if self._folder else []
            weights = files_hash(files, self._cache) if files else memory_hash(self.model)
            self._fingerprint = Fingerprint(config_hash(self.model.config, type(self.model).__name__), weights)
        return self._fingerprint

    @property
    def head(self) -> nn.Module:
        """The projection to the vocabulary."""
        found = self.model.get_output_embeddings()
        if found is None:
            raise UnsupportedModel(f"{self.name} has no projection to a vocabulary.", "Load a causal language model.")
        return found

    @property
    def vocab(self) -> int:
        """Number of logits."""
        return self.weight_of(self.head).shape[0]

    @property
    def context(self) -> int | None:
        """Most tokens that the model reads; None where its settings do not say."""
        config = self.model.config.get_text_config()
        known = (getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
        return next((size for size in known if isinstance(size, int) and size > 0), None)

    @property
    def embedded(self) -> int:
        """Size of an input embedding; where it is projected, as in some OPT models, not that of the hidden states."""
        return self._embedding.shape[1]

    def weight_of(self, module: str | nn.Module) -> torch.Tensor:
        """Return the weight of a module, given itself or by name, as the model stores it."""
        found = self.model.get_submodule(module) if isinstance(module, str) else module
        weight = found.weight
        assert isinstance(weight, torch.Tensor)
        return weight

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of some tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def weights_changed(self) -> None:
        """Say that weights were written: the model is no longer what its files say, and gets a new fingerprint."""
        self._folder, self._fingerprint = None, None

    @property
    def _embedding(self) -> torch.Tensor:
        return next(self.model.get_input_embeddings().parameters())

    def __repr__(self) -> str:
        """Return name, dtype and device."""
        return f"LanguageModel({self.name!r}, {str(self.dtype).removeprefix('torch.')}, {self.device})"


def pick_device(name: str | None) -> torch.device:
    """Return the device of that name, or the first CUDA device, or the CPU.

    Raises:
        ConfigError: If there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = "Use cpu, cuda, cuda:N or mps."
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"Unknown device {name!r}.", known) from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 1):
        raise ConfigError(f"There is no device {name!r} here.", known)
    return device


def pick_dtype(name: str | torch.dtype) -> torch.dtype | str:
    """Return the floating-point type of that name; "auto" stands for the stored one.

    Raises:
        ConfigError: If there is no such type.
    """
    if isinstance(name, torch.dtype) or name == "auto":
        return name
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigError(f"Unknown dtype {name!r}.", "Use float32, bfloat16, float16, float64 or auto.")
    return found


def _read(
    source: Source, dtype: torch.dtype | str, device_map: dict[str, torch.device] | str | None, trust_remote_code: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    common = {"trust_remote_code": trust_remote_code, **source.options}
    try:
        with quiet(keep_bars=source.may_download):
            model = AutoModelForCausalLM.from_pretrained(
                source.place, dtype=dtype, device_map=device_map, use_safetensors=True, **common
            )
            tokenizer = converted_tokenizer(source.folder) if source.folder else None
            tokenizer = tokenizer or AutoTokenizer.from_pretrained(source.place, **common)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ObverseError(
            f"The model {source.name!r} does not fit into the memory of the device.",
            "Load it in a smaller dtype (bfloat16), on another device, or spread it with device_map='auto'.",
        ) from error
    except OSError as error:
        raise not_found(source, error) from error
    except (ValueError, ImportError, KeyError, AttributeError, RuntimeError, SafetensorError) as error:
        raise UnsupportedModel(f"The model {source.name!r} cannot be read: {error}", source.hint) from error
    return model, tokenizer
