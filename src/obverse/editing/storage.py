"""An edit on disk: a PEFT adapter folder with ``edit.json`` beside it.

    adapter_config.json  adapter_model.safetensors     as PEFT writes them: a rank-one update is a LoRA of rank 1
    keys.safetensors                                   the keys the changes answer to, for cross-talk
    edit.json                                          facts, method, settings, base, hashes, verification

Where a change is not low-rank, all stand in ``delta.safetensors`` in place of the adapter files: a tensor a module
under the module's name, and the change of its bias, if any, under the same name and ``.bias``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from obverse.core import DataError, EditMismatch, Fact, ObverseError, file_hash, package_version, whole_folder
from obverse.editing.edit import Delta, Dense, Edit, LowRank
from obverse.model.fingerprint import Fingerprint

FORMAT = 1
"""Version of ``edit.json``; a reader refuses a newer one."""

ADAPTER, DELTA, KEYS = "adapter_model.safetensors", "delta.safetensors", "keys.safetensors"
_PREFIX = "base_model.model."


def save(edit: Edit, folder: Path, *, verification: Mapping[str, Any] | None = None, replace: bool = False) -> None:
    """Write an edit as a folder; it is whole or absent.

    Args:
        edit: The edit.
        folder: Where; must not exist unless ``replace``.
        verification: Summary of its verification.
        replace: Whether an older folder may be replaced.
    """
    with whole_folder(folder, replace=replace) as draft:
        low = {name: delta for name, delta in edit.deltas.items() if isinstance(delta, LowRank)}
        if low and len(low) == len(edit.deltas):
            save_file(_lora_tensors(low), draft / ADAPTER, {"format": "pt"})
            _write_peft_config(edit, low, draft)
        elif edit.deltas:
            save_file(_dense_tensors(edit.deltas), draft / DELTA)
        if edit.keys:
            save_file({name: _plain(keys) for name, keys in edit.keys.items()}, draft / KEYS)
        hashes = {file.name: file_hash(file) for file in sorted(draft.glob("*.safetensors"))}
        record = {**_record(edit), "files": hashes, "verification": verification}
        (draft / "edit.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), "utf-8")


def load(folder: Path) -> Edit:
    """Read an edit.

    Raises:
        DataError: If the folder is no edit, or of a newer format.
        EditMismatch: If a file was altered since the edit was saved; both hashes are named.
    """
    record = read_record(folder)
    for name, expected in record["files"].items():
        found = file_hash(folder / name) if (folder / name).is_file() else "absent"
        if found != expected:
            raise EditMismatch(
                f"{folder / name} is not the file this edit was saved with: its SHA-256 is {found}, "
                f"{expected} was expected.",
                "Copy the folder again from where it was made, or make the edit again.",
            )
    keys = load_file(folder / KEYS) if KEYS in record["files"] else {}
    return Edit(
        deltas=_deltas(folder, record),
        facts=tuple(Fact(**fact) for fact in record["facts"]),
        method=record["method"],
        config=record["config"],
        base=Fingerprint.from_json(record["base"]["fingerprint"]),
        base_name=record["base"]["name"],
        weights=record["weights"],
        transposed=record["transposed"],
        keys=keys,
        details=tuple(record["details"]),
        prefix=record.get("prefix", ""),
    )


def read_record(folder: Path) -> dict[str, Any]:
    """Return what ``edit.json`` holds, without reading tensors.

    Raises:
        DataError: If the folder is no edit, or of a newer format.
    """
    path = folder / "edit.json"
    if not path.is_file():
        raise DataError(f"{folder} is no edit: it has no edit.json.", "Name a folder that 'obverse edit --out' wrote.")
    try:
        record = json.loads(path.read_text("utf-8"))
        version = record["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Copy the folder again, or make the edit again.") from error
    if version > FORMAT:
        raise DataError(f"{path} has format {version}; this version reads up to {FORMAT}.", "Upgrade obverse.")
    return record


def _record(edit: Edit) -> dict[str, Any]:
    return {
        "format_version": FORMAT,
        "obverse": package_version(),
        "method": edit.method,
        "config": edit.config,
        "facts": [asdict(fact) for fact in edit.facts],
        "base": {"name": edit.base_name, "fingerprint": edit.base.to_json()},
        "weights": dict(edit.weights),
        "transposed": edit.transposed,
        "norms": {name: delta.norm() for name, delta in edit.deltas.items()},
        "details": [dict(detail) for detail in edit.details],
        "prefix": edit.prefix,
    }


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu().contiguous()


def _lora_tensors(deltas: Mapping[str, LowRank]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, delta in deltas.items():
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = _plain(delta.right.T)
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = _plain(delta.left)
    return tensors


def _dense_tensors(deltas: Mapping[str, Delta]) -> dict[str, Tensor]:
    tensors = {name: _plain(delta.dense()) for name, delta in deltas.items()}
    biases = {name: delta.bias for name, delta in deltas.items() if isinstance(delta, Dense)}
    return tensors | {f"{name}.bias": _plain(bias) for name, bias in biases.items() if bias is not None}


def _write_peft_config(edit: Edit, deltas: Mapping[str, LowRank], folder: Path) -> None:
    from peft import LoraConfig, TaskType

    ranks = {name: delta.left.shape[1] for name, delta in deltas.items()}
    # alpha = rank makes PEFT's scale 1.
    LoraConfig(
        base_model_name_or_path=edit.base_name,
        task_type=TaskType.CAUSAL_LM,
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        target_modules=sorted(ranks),
        rank_pattern=ranks,
        alpha_pattern=ranks,
        lora_dropout=0.0,
        fan_in_fan_out=edit.transposed,
        inference_mode=True,
    ).save_pretrained(str(folder))


def _deltas(folder: Path, record: Mapping[str, Any]) -> dict[str, Delta]:
    if DELTA in record["files"]:
        tensors = load_file(folder / DELTA)
        modules = [name for name in tensors if name.removesuffix(".bias") not in tensors.keys() - {name}]
        return {name: Dense(tensors[name], tensors.get(f"{name}.bias")) for name in modules}
    if not record["weights"]:
        return {}  # an edit by prompt
    if ADAPTER not in record["files"]:
        raise ObverseError(f"{folder} holds neither {ADAPTER} nor {DELTA}.", "Make the edit again.")
    tensors = load_file(folder / ADAPTER)
    names = [key.removeprefix(_PREFIX).removesuffix(".lora_A.weight") for key in tensors if "lora_A" in key]
    return {
        name: LowRank(tensors[f"{_PREFIX}{name}.lora_B.weight"], tensors[f"{_PREFIX}{name}.lora_A.weight"].T)
        for name in names
    }
