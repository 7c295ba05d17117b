"""Find methods by name: a file in a room is its own registration; other packages use entry points."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from typing import Any

from obverse.core.errors import ConfigError, UnknownName


class Registry:
    """Names in a room, each loaded only when asked for.

    Args:
        what: The kind of thing, used in messages, e.g. ``"method"``.
        package: The room whose public files are scanned, e.g. ``"obverse.editing"``.
        marker: Attribute that the class in a file must have to be the one meant.
        group: Entry-point group by which other packages add to the room.
    """

    def __init__(self, what: str, package: str, marker: str, group: str) -> None:
        self._what, self._package, self._marker, self._group = what, package, marker, group

    def _targets(self) -> dict[str, str]:
        from importlib.metadata import entry_points  # slow to load, and many commands ask for no name

        spec = importlib.util.find_spec(self._package)
        paths = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
        found: dict[str, str] = {}
        for module in pkgutil.iter_modules(paths):
            if not module.name.startswith("_"):
                found[module.name.replace("_", "-")] = f"{self._package}.{module.name}"
        for entry in entry_points(group=self._group):
            if entry.name in found:
                raise ConfigError(
                    f"The {self._what} {entry.name!r} of {entry.value} exists already in {found[entry.name]}.",
                    "Rename the entry point.",
                )
            found[entry.name] = entry.value
        return found

    def _class_in(self, target: str) -> type[Any] | None:
        module_name, _, attribute = target.partition(":")
        module = importlib.import_module(module_name)
        if attribute:
            return getattr(module, attribute)
        own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        marked = [c for c in own if hasattr(c, self._marker) and inspect.isclass(getattr(c, self._marker))]
        return marked[0] if marked else None

    def names(self) -> list[str]:
        """Return every name, sorted. Loads the room's files to see which hold a method."""
        return sorted(name for name, target in self._targets().items() if self._class_in(target) is not None)

    def load(self, name: str) -> type[Any]:
        """Return the class of that name.

        Raises:
            UnknownName: With near matches and the full list.
        """
        target = self._targets().get(name)
        found = self._class_in(target) if target else None
        if found is None:
            raise UnknownName.among(self._what, name, self.names())
        return found
