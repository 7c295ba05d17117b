"""The frame of every page: no scripts, nothing fetched, readable on a phone, on paper and in the dark."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from obverse.core import JsonValue, write_whole
from obverse.report._tables import named

Part: TypeAlias = tuple[str, Mapping[str, JsonValue] | Mapping[str, str]]
"""Title and values of one foldable table."""


class Origin(TypedDict, total=False):
    """How a page came about; everything may be left out.

    Attributes:
        settings: The settings of the run.
        versions: Package → version.
        seconds: Stage → how long it took.
        command: Command line that made the page.
        made: When; by default now.
    """

    settings: Mapping[str, JsonValue] | None
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    command: str | None
    made: datetime


def page(title: str, body: Sequence[str], data: str, *, extra: str = "") -> str:
    """Return a whole page.

    Args:
        title: Name of the window, plain text.
        body: Its sections, as HTML.
        data: The numbers, from `embed`.
        extra: Name of a further style sheet and of a script, ``NAME.css`` and ``NAME.js`` of this package. The page
            runs this script and no other: its hash is in the page's policy.
    """
    style, script, policy = _own("style.css"), "", ""
    if extra:
        style, script = style + _own(f"{extra}.css"), _own(f"{extra}.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        script, policy = f"<script>{script}</script>", f"; script-src 'sha256-{digest}'"
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name=color-scheme content="light dark">'
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'"
        f'{policy}">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{''.join(body)}</main>"
        f'<script type="application/json" id="report">{data}</script>{script}</body></html>\n'
    )


def _own(name: str) -> str:
    return (files("obverse.report") / name).read_text("utf-8")


def write_page(path: str | Path, text: str) -> Path:
    """Write a page and return where; an older one is replaced as a whole."""
    path = Path(path)
    write_whole(path, lambda part: part.write_text(text, "utf-8"))
    return path


def section(title: str, intro: str, content: str) -> str:
    """Return a section of HTML; nothing if it has no content."""
    return f"<section><h2>{title}</h2>{f'<p>{intro}</p>' if intro else ''}{content}</section>" if content else ""


def origin(facts: Mapping[str, str], background: Origin, more: Sequence[Part] = ()) -> str:
    """Return the section that says how a page was made.

    Args:
        facts: What it is about: model, method, fingerprint.
        background: Time, command, stages, settings and versions.
        more: Further tables.
    """
    shown = {**facts, "made": _time(background.get("made"))}
    if command := background.get("command"):
        shown["command"] = command
    shown |= {f"{stage} (seconds)": f"{value:.1f}" for stage, value in background.get("seconds", {}).items()}
    parts: list[Part] = [("This page", shown), ("Settings", background.get("settings") or {})]
    parts += [("Versions", background.get("versions", {})), *more]
    folded = "".join(
        f"<details{' open' if i == 0 else ''}><summary>{escape(name)}</summary>{named(values)}</details>"
        for i, (name, values) in enumerate(parts)
        if values
    )
    return section("How this was made", "", folded)


def embed(value: Any) -> str:
    """Return a JSON value as text that is safe inside a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _time(made: datetime | None) -> str:
    return (made or datetime.now().astimezone()).isoformat(" ", "seconds")
