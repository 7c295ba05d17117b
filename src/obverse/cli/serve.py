"""``obverse serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from obverse.cli import options
from obverse.cli.console import command, print_json, results

if TYPE_CHECKING:
    from obverse.workbench.serving import Served

_ACCESS = "Who may visit"


@command
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A built-in model, a GGUF file, a folder or a hub id; repeatable: the first is loaded at once, the "
            "others when they are first asked. \\[default: gemma-3-270m]",
            rich_help_panel="Model",
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="Folder of runs to look at; edits that are kept go there. Nothing outside is shown.")
    ] = Path("runs"),
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; another than this machine's needs --auth.", rich_help_panel=_ACCESS),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port. \\[default: the first free one from 7860]", rich_help_panel=_ACCESS),
    ] = None,
    share: Annotated[
        bool,
        typer.Option(
            "--share", help="Make a public address, by gradio's tunnel; needs --auth.", rich_help_panel=_ACCESS
        ),
    ] = False,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:PASSWORD",
            envvar="OBVERSE_AUTH",
            help="What a visitor must give. In the environment it does not show in the list of processes.",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open a browser.")] = False,
    dtype: options.Dtype = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    trust: options.Trust = False,
    json: options.Json = False,
) -> None:
    """Open the workbench: a page in the browser to ask, locate, edit and verify, and to look at runs.

    Only this machine can visit unless you say otherwise. Each visitor has edits of their own; the model itself is never
    changed. Ends with Ctrl-C. Needs the extra ui.
    """
    from obverse.workbench import ServeRequest, run_serve
    from obverse.workbench.serving import is_local

    def announce(served: Served) -> None:
        if json:
            print_json({"url": served.url, "public": served.public, "models": list(served.models)})
            return
        console = results()
        console.print(f"The workbench is at {served.url}" + (f" and {served.public}" if served.public else ""))
        if not is_local(host):
            console.print(f"Others reach it at this machine's address, port {urlsplit(served.url).port}.")
        console.print("Ctrl-C ends it.")

    choices = [options.model_choice(name, dtype, device, device_map, revision, trust) for name in model or [None]]
    run_serve(ServeRequest(choices, runs, host, port, share, _password(auth), browser), announce)


def _password(auth: str | None) -> tuple[str, str] | None:
    from obverse.core import ConfigError

    if auth is None:
        return None
    name, colon, password = auth.partition(":")
    if not (name and colon and password):
        raise ConfigError("--auth is not a name and a password.", "Write --auth NAME:PASSWORD.")
    return name, password


EPILOG = """
**Examples**

- `obverse serve`: the built-in model, at http://127.0.0.1:7860

- `obverse serve --model gpt2-xl --model gemma-3-270m --runs results`

- `OBVERSE_AUTH=anna:secret obverse serve --host 0.0.0.0`: for others in the network

- `obverse serve --json`: print the address as JSON once the page is there
"""
