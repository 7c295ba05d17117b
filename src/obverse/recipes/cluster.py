"""A Ray cluster, started on this machine or joined, and how its cores and GPUs are shared out among workers."""

from __future__ import annotations

import logging
import math
import signal
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from obverse.core import ConfigError, ObverseError

CORES = 4
"""For each worker, on a machine without GPUs; with two cores or more it has at least two workers."""

OBJECT_STORE = 80_000_000
"""Bytes of shared memory for a cluster on this machine, where Ray would take a third; jobs and results are small."""

Machine = Mapping[str, float]
"""What a machine has, by Ray's names: ``CPU``, ``GPU``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The workers of a cluster.

    Attributes:
        workers: How many.
        cores: Cores kept for each; a whole number or a part of one.
        gpus: GPUs of each; a whole number or a part of one.
        threads: Threads of torch in each.
    """

    workers: int
    cores: float
    gpus: float
    threads: int


def plan(machines: Sequence[Machine], workers: int | None = None, gpus: float | None = None) -> Plan:
    """Share the machines out among workers, evenly; threads go by the smallest share, so that all compute alike.

    Args:
        machines: What each machine has.
        workers: How many; by default one a GPU, or one for every four cores (at least two) without GPUs.
        gpus: Of each worker; by default 1 if there are any.

    Raises:
        ConfigError: If the number of workers or GPUs makes no sense, or there are not so many GPUs.
        ObverseError: If no machine has room for a worker.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers were asked for.", "Ask for 1 or more.")
    if gpus is None:
        gpus = float(any(machine.get("GPU", 0) >= 1 for machine in machines))
    if not gpus >= 0 or (gpus > 1 and gpus % 1):
        raise ConfigError(f"A worker cannot have {gpus:g} GPUs.", "Give a part of one, such as 0.5, or a whole number.")
    rooms = [(fitting, machine.get("CPU", 0)) for machine in machines if (fitting := _fitting(machine, gpus))]
    if not rooms:
        raise ObverseError(
            f"No machine of the cluster has {f'{gpus:g} GPUs' if gpus else 'a core'} for a worker.",
            "Ask for fewer GPUs per worker, or let another machine join (ray start --address=HEAD:PORT).",
        )
    total = sum(fitting for fitting, _ in rooms)
    if gpus and workers and workers > total:
        raise ConfigError(
            f"{workers} workers with {gpus:g} GPUs each were asked for; the cluster has room for {total}.",
            "Ask for fewer workers, or fewer GPUs per worker.",
        )
    workers = workers or total
    cores = min(cores / math.ceil(workers * fitting / total) for fitting, cores in rooms)
    kept = min(1.0, cores) if gpus else cores  # a worker with a GPU does not wait for cores that others hold
    kept = float(int(kept)) if kept >= 1 else math.floor(kept * 1e4) / 1e4  # the steps in which Ray counts
    return Plan(workers, kept, gpus, max(1, int(cores)))


def _fitting(machine: Machine, gpus: float) -> int:
    cores = int(machine.get("CPU", 0))
    return int(machine.get("GPU", 0) / gpus + 1e-9) if gpus else max(min(2, cores), cores // CORES)


def check_ray(address: str | None) -> None:
    """Refuse, before any work, to spread it over Ray where that is not installed.

    Args:
        address: As for `cluster`; None if Ray is not asked for.

    Raises:
        ObverseError: If Ray is missing.
    """
    if address is not None and find_spec("ray") is None:
        raise ObverseError("Ray is not installed.", "pip install 'obverse[ray]'")


@contextmanager
def cluster(address: str) -> Generator[list[Machine]]:
    """Start a cluster on this machine (``local``) or join one; the value is what its machines have.

    At the end what was started is stopped, and what was joined is left. A connection that the program has already is
    used and left open, whatever the address.

    Raises:
        ConfigError: If the address has none of the forms ``local``, ``auto``, ``host:port``, ``ray://host:port``.
        ObverseError: If Ray is missing, or nothing of the same version answers at the address.
    """
    check_ray(address)
    import ray

    if ray.is_initialized():
        yield _machines()
        return
    _check_answers(address)
    with _quiet():
        try:
            _connect(address)
            yield _machines()
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    import ray
    from ray.exceptions import RayError

    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(own if address == "local" else {}))
    except (RayError, OSError, RuntimeError, ValueError, SystemExit) as error:  # it may exit where no Ray answers
        raise ObverseError(f"The Ray cluster {address!r} cannot be joined: {error}", _JOIN) from error


@contextmanager
def _quiet() -> Generator[None]:
    """Undo what Ray changes in this process: it prints on stdout, and takes the signal to end over."""
    from ray._private import worker

    handler = signal.getsignal(signal.SIGTERM)
    worker._worker_logs_enabled = False  # the deaths of workers, even where log_to_driver is off
    try:
        yield
    finally:
        worker._worker_logs_enabled = True
        with suppress(ValueError, TypeError):  # outside the main thread; not set by Python
            signal.signal(signal.SIGTERM, handler)


_JOIN = (
    "See that it runs (ray status), with the same versions of Ray and Python. If it was started with a token, set "
    "RAY_AUTH_MODE=token and copy ~/.ray/auth_token. The port of ray:// is another one, 10001."
)


def _machines() -> list[Machine]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _check_answers(address: str) -> None:
    """Refuse an address where nobody listens; Ray would try for two minutes, and end the program."""
    if address in ("local", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{address!r} is no address of Ray.", "Give local, auto, HOST:PORT or ray://HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise ObverseError(f"No Ray cluster answers at {address}: {error}.", _JOIN) from error
