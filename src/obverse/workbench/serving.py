"""Serve the workbench: to this machine alone, unless asked otherwise and with a password."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from obverse.core import ConfigError, ObverseError
from obverse.recipes.models import ModelChoice

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
        ObverseError: If the model cannot be loaded, the port is taken, or see `check_serve`.
        KeyboardInterrupt: In the end.
    """
    check_serve(request)
    from obverse.workbench.desk import Desk
    from obverse.workbench.page import build_page

    if request.auth is not None and (request.share or not is_local(request.host)):
        _log.warning("Others can reach this workbench: they can use the model and read everything in %s.", request.runs)
    desk = Desk(request.models, request.runs)
    try:
        desk.load()
        page = build_page(desk)
        try:
            _, url, public = page.blocks.launch(
                server_name=request.host,
                server_port=request.port,
                share=request.share,
                auth=request.auth,
                inbrowser=request.browser,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                **page.look,
            )
        except OSError as error:
            raise ObverseError(f"The page cannot be served: {error}", "Choose another --port or --host.") from error
        announce(Served(url, public, desk.names))
        page.blocks.block_thread()
    finally:
        desk.close()
