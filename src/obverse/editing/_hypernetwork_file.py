"""A fitted editor as one safetensors file: the network's weights, and a header in JSON.

The header has method, structure, settings of the fit, the base model's fingerprint, and the validations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from obverse.core import ConfigError, DataError, JsonValue, package_version, write_whole
from obverse.editing._hypernetwork import Network
from obverse.editing._hypernetwork_fit import Validation
from obverse.model.fingerprint import Fingerprint

FORMAT = 1
"""Version of the header; a reader refuses a newer one."""

_HEADER = "obverse_fitted"


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A network with what is known of it.

    Attributes:
        network: The network.
        structure: What it was built from: layers and sizes.
        fit: Settings of its fit.
        base: Identity of the model it was fitted on.
        base_name: Name of that model.
        facts: How many facts it was fitted on, those held out included.
        history: Its validations.
    """

    network: Network
    structure: Mapping[str, Any]
    fit: JsonValue
    base: Fingerprint
    base_name: str
    facts: int
    history: tuple[Validation, ...]


def write_fitted(path: Path, method: str, fitted: FittedNetwork) -> None:
    """Write a fitted editor, whole or not at all."""
    header = {
        "format": FORMAT,
        "obverse": package_version(),
        "method": method,
        "structure": dict(fitted.structure),
        "fit": fitted.fit,
        "base": fitted.base.to_json(),
        "base_name": fitted.base_name,
        "facts": fitted.facts,
        "history": [asdict(one) for one in fitted.history],
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in fitted.network.state_dict().items()}
    write_whole(path, lambda file: save_file(tensors, file, {_HEADER: json.dumps(header)}))


def read_header(path: Path) -> dict[str, Any]:
    """Return what the header of a fitted editor says.

    Raises:
        ConfigError: If there is no such file.
        DataError: If it is no fitted editor, or of a newer format.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.", "Name a file that 'obverse edit-fit --out FILE' wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()[_HEADER])
            version = header["format"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is no fitted editor: {error}.", "Name a file that 'obverse edit-fit --out FILE' wrote."
        ) from error
    if version > FORMAT:
        raise DataError(f"{path} has format {version}; this version reads up to {FORMAT}.", "Upgrade obverse.")
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the network's weights."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
