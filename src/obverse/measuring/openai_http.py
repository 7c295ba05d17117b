"""Requests to a server that speaks OpenAI's protocol: the key's rules, tries again, and a pace that is kept."""

from __future__ import annotations

import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from obverse.core import ConfigError, ObverseError
from obverse.measuring.throttle import Throttle

_log = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"
"""Environment variable of the key; read by the command line alone."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_LONGEST_WAIT = 60.0

Answer = TypeVar("Answer")


class ServerError(ObverseError):
    """A server refused, could not be reached, or answered with something else than was asked."""


def is_local(url: str) -> bool:
    """Say whether an address is on this machine."""
    return urlsplit(url).hostname in _LOCAL


class Wire:
    """A line to a server.

    Requests that fail for a moment (429, 5xx, a broken connection, a cut answer, no answer in time) are sent again,
    after as long as the server says, else after 1, 2, 4, ... seconds.

    Args:
        url: Address of the protocol's root, e.g. ``http://localhost:8000/v1``.
        key: Secret sent to the server; it stands in no message and no record. Only sent to this machine or by https.
        timeout: Seconds to wait for an answer.
        tries: How often a request is sent before giving up.
        sleep: Waits so many seconds.
        throttle: Pace of requests and tokens; none by default.

    Raises:
        ConfigError: If the address is none, or a key would be sent over the network unencrypted.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 120.0,
        tries: int = 7,
        sleep: Callable[[float], object] = time.sleep,
        throttle: Throttle | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a server.", "Write for example http://localhost:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise ConfigError("The address of a server may hold no password and no query.", f"Set {KEY_VARIABLE}.")
        if key and parts.scheme == "http" and not is_local(url):
            raise ConfigError(
                f"A key would be sent to {parts.hostname} unencrypted.", f"Use https, or unset {KEY_VARIABLE}."
            )
        self.url = url.rstrip("/")
        self._key, self._timeout, self._tries, self._sleep, self._throttle = key, timeout, tries, sleep, throttle
        proxy = [urllib.request.ProxyHandler({})] if is_local(url) else []
        self._open = urllib.request.build_opener(_NoRedirect, *proxy).open

    def __repr__(self) -> str:
        """Return the address; never the key."""
        return f"Wire({self.url!r})"

    def send(
        self,
        method: str,
        path: str,
        read: Callable[[Any], Answer],
        *,
        body: bytes | None = None,
        kind: str = "application/json",
        tokens: int = 0,
        found: Callable[[], Answer | None] | None = None,
    ) -> Answer:
        """Send a request and read its answer.

        Args:
            method: GET, POST, ...
            path: What follows the address, with its slash.
            read: Reads the answer's JSON; a ValueError makes the request be sent again.
            body: What is sent.
            kind: Its content type.
            tokens: Tokens that it may cost, for the pace.
            found: Looks, before a request is sent again, whether the earlier one was carried out after all; what it
                returns is the answer, unless None. For requests that must not be carried out twice.

        Raises:
            ServerError: If the server refuses, is not there, or gives no answer that can be read.
        """
        why = "none was sent"
        for attempt in range(1, self._tries + 1):
            if attempt > 1 and found is not None and (known := found()) is not None:
                return known
            if self._throttle:
                self._throttle.wait(tokens)
            request = urllib.request.Request(
                self.url + path, body, {"Content-Type": kind} if body else {}, method=method
            )
            if self._key:
                request.add_unredirected_header("Authorization", f"Bearer {self._key}")
            try:
                with self._open(request, timeout=self._timeout) as response:
                    return read(json.loads(response.read()))
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in (408, 409, 425, 429) and error.code < 500:
                        _refused(self.url, error, self._key)
                    why, wait = f"status {error.code}", _asked_wait(error.headers)
            except (OSError, HTTPException, ValueError) as error:  # no connection, a broken one, half an answer
                why, wait = f"{type(error).__name__}: {error}", None
            if attempt < self._tries:
                wait = min(_LONGEST_WAIT, 2.0 ** (attempt - 1) if wait is None else wait)
                _log.info("%s: %s; trying again in %.0f s.", self, why, wait)
                self._sleep(wait)
        raise ServerError(
            f"{self.url} gave no answer in {self._tries} tries; the last time: {why}.",
            "See that the server runs and is not overloaded; what is done so far is kept where a folder was given.",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: a POST would turn into a GET, and texts would go to a host that nobody named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _asked_wait(headers: Message | None) -> float | None:
    try:
        seconds = float((headers or {}).get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _refused(url: str, error: urllib.error.HTTPError, key: str | None) -> NoReturn:
    try:
        said = error.read(2000).decode("utf-8", "replace").replace(key or "\0", "***")  # some give a bad key back
    except (OSError, HTTPException):
        said = ""
    hints = {
        401: f"Set {KEY_VARIABLE} to the server's key.",
        403: f"Set {KEY_VARIABLE} to a key that may use this model.",
        404: "See that the address ends in /v1, and that the server knows the model by this name.",
    }
    hint = "Give the address it points to." if error.code < 400 else hints.get(error.code, "Ask for what it can do.")
    raise ServerError(f"{url} refuses (status {error.code}): {said.strip()[:300] or error.reason}", hint)
