"""Asking whether work on a server may start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from obverse.recipes.costs import Approve, Estimate


def approval(url: str, *, yes: bool) -> Approve:
    """Return what shows an estimate on stderr, and asks for consent unless the server is on this machine.

    Args:
        url: Address of the server.
        yes: Whether consent was given with the command.
    """
    from obverse.cli.console import notes
    from obverse.core import ConfigError
    from obverse.measuring.openai_http import is_local

    def approve(estimate: Estimate) -> None:
        notes().print(f"{url}: {estimate}.")
        if yes or is_local(url):
            return
        if not sys.stdin.isatty():
            raise ConfigError(f"{estimate}: not started without consent.", "Give it with --yes.")
        if not typer.confirm("Start?", err=True):
            raise ConfigError("Not started.", "Nothing was sent.")

    return approve


def key_for(url: str) -> str | None:
    """Return the key that the environment holds for a server.

    Raises:
        ConfigError: If there is none, and the server is not on this machine.
    """
    import os

    from obverse.core import ConfigError
    from obverse.measuring.openai_http import KEY_VARIABLE, is_local

    key = os.environ.get(KEY_VARIABLE) or None
    if key is None and not is_local(url):
        raise ConfigError(
            f"No key for {url}: {KEY_VARIABLE} is not set.",
            f"export {KEY_VARIABLE}=...; for a server that asks for none, set it to any word.",
        )
    return key
