"""What a job on a server tells, passed on to a tracker; a tracker that is not there stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from obverse.core import ConfigError, UnknownName
from obverse.recipes.remote import Noted
from obverse.recipes.remote_api import Event

_log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Keeps the curves of a run."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keep values of a step."""
        ...

    def finish(self) -> None:
        """End the run."""
        ...


class _TensorBoard:
    def __init__(self, project: str, name: str, folder: Path) -> None:
        self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard" / name))

    def log(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def finish(self) -> None:
        self._writer.close()


class _Session:
    """wandb and trackio, which are called alike."""

    def __init__(self, module: str, project: str, name: str, options: Mapping[str, Any]) -> None:
        self._module: Any = import_module(module)
        self._module.init(project=project, name=name, **options)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._module.log(dict(values), step=step)

    def finish(self) -> None:
        self._module.finish()


class _MLflow:
    def __init__(self, project: str, name: str, folder: Path) -> None:
        self._module: Any = import_module("mlflow")
        self._module.set_experiment(project)
        self._module.start_run(run_name=name)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._module.log_metrics(dict(values), step=step)

    def finish(self) -> None:
        self._module.end_run()


TRACKERS: Mapping[str, Callable[[str, str, Path], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": lambda project, name, _: _Session("trackio", project, name, {"resume": "allow"}),
    "wandb": lambda project, name, _: _Session("wandb", project, name, {"id": name, "resume": "allow"}),
    "mlflow": _MLflow,
}
"""Opens a tracker: given a project, the name of the run, and a folder of ours."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that is not known or not installed.

    Raises:
        UnknownName: If it is not known.
        ConfigError: If it is not installed.
    """
    if name not in TRACKERS:
        raise UnknownName.among("tracker", name, TRACKERS)
    if find_spec(name) is None:
        raise ConfigError(f"The tracker {name} is not installed.", f"Install it: pip install {name}")


class Synced:
    """A run of a tracker that is told the events of a job, each once, also over several calls.

    A tracker that cannot be reached is said once; the events it missed are passed on at the next call.

    Args:
        tracker: Name of the tracker, see `TRACKERS`.
        noted: The job's notes, which hold what the tracker has.
        folder: Where they are.
        project: The tracker's project.
        open: Opens the tracker.
    """

    def __init__(
        self,
        tracker: str,
        noted: Noted,
        folder: Path,
        *,
        project: str = "obverse",
        open: Callable[[str, str, Path], Tracker] | None = None,
    ) -> None:
        self._name, self.noted, self._folder = tracker, noted, folder
        self._has = set((noted.synced or {}).get(tracker, ()))
        self._given_up = False
        opener = open or TRACKERS[tracker]
        self._tracker = self._tried(lambda: opener(project, noted.job, folder))

    def tell(self, events: Iterable[Event]) -> int:
        """Pass on the events with values that the tracker does not have; return how many those were."""
        told = 0
        for event in events:
            if self._tracker is None or self._given_up:
                break
            if event.id in self._has or not event.values or event.step is None:
                continue
            self._tried(lambda event=event: self._log(event))
            if not self._given_up:
                self._has.add(event.id)
                told += 1
        if told:
            synced = {**(self.noted.synced or {}), self._name: sorted(self._has)}
            self.noted = replace(self.noted, synced=synced).write(self._folder)
        return told

    def close(self) -> None:
        """End the tracker's run."""
        if self._tracker is not None and not self._given_up:
            self._tried(self._tracker.finish)

    def _log(self, event: Event) -> None:
        if self._tracker is not None and event.step is not None:
            self._tracker.log(event.values, event.step)

    def _tried(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except Exception as error:  # each tracker has errors of its own, and none may stop the training
            if not self._given_up:
                _log.warning("%s cannot be reached (%s); the training goes on without it.", self._name, error)
            self._given_up = True
            return None
