"""Which model is this? A short identity of a model's settings and weights, the same on disk and in memory.

The weights' hash is SHA-256 over a table with a line per tensor, sorted by name: name, dtype, shape and the SHA-256 of
the bytes. Of weights that are tied, only the one that files hold is counted. A model that came from files is identified
by the files, so the dtype it was loaded in does not change what it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from torch import Tensor

from obverse.core import DataError, ObverseError, Progress, UnsupportedModel, cache_dir, file_hash, write_whole

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

VOLATILE = frozenset({
    *("_attn_implementation", "_attn_implementation_internal", "_commit_hash", "_experts_implementation"),
    *("_model_name_or_path", "_name_or_path", "architectures", "auto_map", "dtype", "gradient_checkpointing"),
    *("id2label", "label2id", "model_type", "output_attentions", "output_hidden_states", "quantization_config"),
    *("return_dict", "torch_dtype", "transformers_version", "use_cache"),
})  # fmt: skip
"""Settings that say how a model is run or stored, not which model it is (class and family are hashed apart)."""

Entry = tuple[str, str, tuple[int, ...], str]
"""A tensor's name, dtype, shape and hash of its bytes."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identity of a model.

    Attributes:
        config: SHA-256 of the settings that differ from the family's defaults, in hexadecimal.
        weights: SHA-256 of all weights, in hexadecimal.
    """

    config: str
    weights: str

    def __str__(self) -> str:
        """Return the short form, e.g. ``"c1a2b3c4-d5e6f7a8"``; equality compares the full hashes."""
        return f"{self.config[:8]}-{self.weights[:8]}"

    def to_json(self) -> dict[str, str]:
        """Return the two full hashes, as `from_json` reads them."""
        return {"config": self.config, "weights": self.weights}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Fingerprint:
        """Read what `to_json` wrote.

        Raises:
            DataError: If one of the two hashes is missing or not a text.
        """
        config, weights = data.get("config"), data.get("weights")
        if not isinstance(config, str) or not isinstance(weights, str):
            raise DataError(f"{dict(data)!r} is not a fingerprint.", "It needs the texts 'config' and 'weights'.")
        return cls(config, weights)


def tensor_hash(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor's bytes in row-major order, in hexadecimal; dtype and shape are not in it."""
    data = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(memoryview(data.view(torch.uint8).numpy())).hexdigest()  # pyright: ignore[reportArgumentType]


def config_hash(config: PretrainedConfig, class_name: str) -> str:
    """Return the hash of the settings that make a model what it is.

    Values equal to the family's defaults are left out, so a setting that a later library adds changes nothing.

    Args:
        config: The model's settings.
        class_name: Name of the model's class (a config names it only once it was saved).
    """
    defaults = {} if getattr(config, "has_no_defaults_at_init", False) else type(config)().to_dict()
    kept = {
        key: value
        for key, value in config.to_dict().items()
        if key not in VOLATILE and value is not None and value != defaults.get(key)
    }
    text = json.dumps([config.model_type, class_name, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def memory_hash(model: PreTrainedModel) -> str:
    """Return the hash of a model's weights as they are now, in their present dtype."""
    from transformers.core_model_loading import revert_weight_conversion  # some families store weights split

    tied = set(getattr(model, "all_tied_weights_keys", None) or {})
    stored = {name: value for name, value in model.state_dict().items() if name not in tied}
    return _hash_all(revert_weight_conversion(model, stored), "Fingerprint of the model")


def files_hash(files: Sequence[Path], cache: Path | None = None) -> str:
    """Return the hash of the weights in safetensors files, remembered until a file changes.

    Args:
        files: One file, or all shards of a checkpoint in any order.
        cache: Cache folder; the user's by default.
    """

    def compute() -> str:
        with ExitStack() as stack:
            stored: dict[str, safe_open] = {}
            for file in files:
                held = stack.enter_context(safe_open(file, framework="pt"))
                stored.update(dict.fromkeys(held.keys(), held))
            return _hash_all(_Stored(stored), "Fingerprint of the model")

    return _remembered("weights", files, compute, cache)


def remembered_file_hash(path: Path, cache: Path | None = None) -> str:
    """Return the SHA-256 of a file's bytes, computed anew only if the file changed."""

    def compute() -> str:
        with Progress(f"Checking {path.name}", path.stat().st_size) as progress:
            return file_hash(path, progress.advance)

    return _remembered("bytes", [path], compute, cache)


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint folder: the single one, those its index names, or none.

    Raises:
        UnsupportedModel: If a shard is missing; the message names it.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return [single] if single.is_file() else []
    files = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise UnsupportedModel(f"{folder} lacks {', '.join(missing)}.", "Copy or download the folder again.")
    return files


class _Stored(Mapping[str, Tensor]):
    """Tensors in open files, read one at a time."""

    def __init__(self, files: Mapping[str, safe_open]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Tensor:
        return self._files[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _hash_all(tensors: Mapping[str, Tensor], label: str) -> str:
    def entry(name: str) -> Entry:
        tensor = tensors[name]
        return name, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), tensor_hash(tensor)

    with ThreadPoolExecutor(os.cpu_count()) as pool, Progress(label, len(tensors)) as progress:
        return _hash_entries(_told(pool.map(entry, sorted(tensors)), progress))


def _told(entries: Iterable[Entry], progress: Progress) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        progress.advance()


def _hash_entries(entries: Iterable[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(json.dumps(entry).encode() + b"\n")
    return digest.hexdigest()


def _remembered(kind: str, files: Sequence[Path], compute: Callable[[], str], cache: Path | None) -> str:
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files)]
    key = hashlib.sha256(json.dumps([kind, facts]).encode()).hexdigest()
    place = (cache or cache_dir()) / "fingerprints" / f"{key}.txt"
    if place.is_file() and len(known := place.read_text().strip()) == 64:
        return known
    value = compute()
    try:
        write_whole(place, lambda draft: draft.write_text(value))
    except ObverseError:  # a cache that cannot be written only costs time
        return value
    return value
