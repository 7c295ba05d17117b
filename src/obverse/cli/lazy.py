"""Commands whose modules are imported when they are asked for, so that one command does not wait for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command


def load(place: str, name: str) -> typer.Typer:
    """Import a command or a group of commands.

    Args:
        place: Where it is, as ``"module:name"``: an application (a group of commands), or a function, whose examples
            are the ``EPILOG`` of its module.
        name: What it is called on the command line.

    Returns:
        The group, or an application with the one command.
    """
    module_name, _, attribute = place.partition(":")
    module = import_module(module_name)
    found = getattr(module, attribute)
    if isinstance(found, typer.Typer):
        return found
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name, epilog=module.EPILOG)(found)
    return alone


class LazyCommands(Mapping[str, Any]):
    """Commands by name; the names are known without an import.

    Args:
        places: Where each is, see `load`.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = get_command(load(self._places[name], name))
            self._loaded[name].name = name
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return the class of a group that holds the commands at `places`."""

    class LazyGroup(TyperGroup):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.commands = cast("MutableMapping[str, Any]", LazyCommands(places))

    return LazyGroup
