"""Serve the workbench: to this machine alone, unless asked otherwise and with a password."""

from __future__ import annotations

import io
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import ConfigError, ObverseError
from obverse.recipes.models import ModelChoice

if TYPE_CHECKING:
    from obverse.workbench.page import Page

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What is asked of `run_serve`.

    Attributes:
        models: Models to work with; the first is loaded at once, the others when they are first asked.
        runs: The folder whose runs can be looked at, and where edits are kept.
        host: Address to listen at.
        port: Port; None takes the first free one from 7860 on.
        share: Whether to make a public address through a tunnel of gradio's.
        auth: User name and password that a visitor must give; needed unless only this machine can visit.
        browser: Whether to open a browser.
    """

    models: Sequence[ModelChoice] = field(default_factory=lambda: [ModelChoice()])
    runs: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int | None = None
    share: bool = False
    auth: tuple[str, str] | None = None
    browser: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A workbench that is there to be visited.

    Attributes:
        url: Where.
        public: The public address, if one was asked for.
        models: Names of the models.
    """

    url: str
    public: str | None
    models: tuple[str, ...]


def check_serve(request: ServeRequest) -> None:
    """Refuse, before anything is loaded, what cannot or should not be served.

    Raises:
        ObverseError: If gradio is not installed.
        ConfigError: If others could visit without a password.
    """
    if find_spec("gradio") is None:
        raise ObverseError("The workbench needs gradio, which is not installed.", "pip install 'obverse[ui]'")
    if (request.share or not is_local(request.host)) and request.auth is None:
        wish = "--share" if request.share else f"--host {request.host}"
        raise ConfigError(
            f"With {wish} others can use the model and read {request.runs}, and no password is asked for.",
            "Add --auth NAME:PASSWORD, or serve this machine alone (leave --share and --host out).",
        )


def check_address(host: str, port: int | None) -> None:
    """Take an address for a moment, so that no model is loaded in vain.

    Raises:
        ObverseError: If the address is not of this machine, or the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ObverseError(f"There is no address {host!r}: {error.strerror}.", "Choose another --host.") from error
    with socket.socket(family, kind, protocol) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(address)
        except OSError as error:
            where = f"port {port} of {host}" if port else host
            raise ObverseError(
                f"The page cannot be served at {where}: {(error.strerror or str(error)).lower()}.",
                "Choose another --port or --host.",
            ) from error


def is_local(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run_serve(request: ServeRequest, announce: Callable[[Served], None]) -> None:
    """Load the model and serve the page until interrupted.

    Args:
        request: What is asked.
        announce: Called once the page can be visited.

    Raises:
        ObverseError: If the model cannot be loaded, no public address can be made, or see `check_serve` and
            `check_address`.
        KeyboardInterrupt: In the end.
    """
    check_serve(request)
    check_address(request.host, request.port)
    from obverse.workbench.desk import Desk
    from obverse.workbench.page import build_page

    if request.auth is not None and (request.share or not is_local(request.host)):
        _log.warning("Others can reach this workbench: they can use the model and read everything in %s.", request.runs)
    desk = Desk(request.models, request.runs)
    try:
        desk.load()
        page = build_page(desk)
        announce(launch(page, request, desk.names))
        page.blocks.block_thread()
    finally:
        desk.close()


def launch(page: Page, request: ServeRequest, models: tuple[str, ...]) -> Served:
    """Serve a page; what gradio prints is kept off the output, which may be JSON.

    Args:
        page: The page.
        request: Who may visit, and where.
        models: Names of the models.

    Raises:
        ObverseError: If it cannot be served, or no public address can be made.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            _, url, public = page.blocks.launch(
                server_name=request.host,
                server_port=request.port,
                share=request.share,
                auth=request.auth,
                auth_message="The workbench of obverse asks for what its --auth says.",
                inbrowser=request.browser,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                **page.look,
            )
    except (OSError, ValueError) as error:  # ValueError: the page cannot reach itself, e.g. through a proxy
        raise ObverseError(f"The page cannot be served: {error}", "Choose another --port or --host.") from error
    _log.info("%s", said.getvalue())
    if request.share and public is None:
        page.blocks.close(verbose=False)
        raise ObverseError(
            "No public address could be made: gradio's tunnel cannot be set up from here.",
            "Check the network and any proxy, or leave --share out.",
        )
    return Served(url, public, models)
