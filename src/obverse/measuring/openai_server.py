"""A client of servers that speak OpenAI's completions protocol (vLLM, llama.cpp, text-generation-webui, ...)."""

from __future__ import annotations

import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

from obverse.core import ConfigError, JsonValue, ObverseError, seed_for, track
from obverse.measuring.reference_kl import Drawn, TextSource

_log = logging.getLogger(__name__)

AT_ONCE = 8
"""Completions asked for in one request."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_LONGEST_WAIT = 60.0


class ServerError(ObverseError):
    """A server refused, could not be reached, or answered with something else than was asked."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that a server wrote.

    Attributes:
        text: The text; with the prompt where it was asked to be given back.
        tokens: Its tokens as texts; empty if they were not asked for.
        logprobs: Natural-log probability of each token; None for the first of all, which nothing stands before.
        ended: Whether the model ended it, rather than the limit.
    """

    text: str
    tokens: tuple[str, ...] = ()
    logprobs: tuple[float | None, ...] = ()
    ended: bool = False


class CompletionServer:
    """A model on a server.

    Requests that fail for a moment (429, 5xx, a broken connection, a cut answer, no answer in time) are sent again,
    after as long as the server says, else after 1, 2, 4, ... seconds.

    Args:
        url: Address of the protocol's root, e.g. ``http://localhost:8000/v1``.
        model: What the server calls the model.
        key: Secret sent to the server; it stands in no message and no record. Only sent to this machine or by https.
        timeout: Seconds to wait for an answer.
        tries: How often a request is sent before giving up.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: If the address is none, or a key would be sent over the network unencrypted.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        timeout: float = 120.0,
        tries: int = 7,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a server.", "Write for example http://localhost:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise ConfigError("The address of a server may hold no password and no query.", "Set OPENAI_API_KEY.")
        local = parts.hostname in _LOCAL
        if key and parts.scheme == "http" and not local:
            raise ConfigError(
                f"A key would be sent to {parts.hostname} unencrypted.", "Use https, or unset OPENAI_API_KEY."
            )
        self.url, self.model = url.rstrip("/"), model
        self._key, self._timeout, self._tries, self._sleep = key, timeout, tries, sleep
        proxy = [urllib.request.ProxyHandler({})] if local else []
        self._open = urllib.request.build_opener(_NoRedirect, *proxy).open

    def __repr__(self) -> str:
        """Return address and model; never the key."""
        return f"CompletionServer({self.url!r}, {self.model!r})"

    def complete(
        self,
        prompt: str,
        *,
        n: int = 1,
        max_tokens: int = 64,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] = (),
        logprobs: bool = False,
        echo: bool = False,
    ) -> list[Completion]:
        """Let the server continue a prompt.

        Args:
            prompt: The prompt.
            n: How many continuations.
            max_tokens: Their tokens at most.
            temperature: What logits are divided by; 0 is greedy.
            top_p: Share of the likeliest tokens that are drawn from.
            seed: Seed of the draws, for servers that take one.
            stop: Texts that end a continuation, at most four.
            logprobs: Whether to ask for tokens and their log-probabilities.
            echo: Whether the prompt is given back with the text, and its log-probabilities.

        Raises:
            ServerError: If the server refuses, is not there, or does not give what was asked.
        """
        asked: dict[str, Any] = {
            "model": self.model, "prompt": prompt, "n": n, "max_tokens": max_tokens, "temperature": temperature,
            "top_p": top_p,
        }  # fmt: skip
        asked |= {"seed": seed % 2**31} if seed is not None else {}
        asked |= {"stop": list(stop)} if stop else {}
        asked |= {"logprobs": 1} if logprobs else {}
        asked |= {"echo": True} if echo else {}
        return self._post("/completions", asked, lambda found: _completions(found, n, logprobs))

    def _post(self, path: str, asked: Mapping[str, Any], read: Callable[[Any], list[Completion]]) -> list[Completion]:
        body, why = json.dumps(asked).encode(), "none was sent"
        for attempt in range(1, self._tries + 1):
            request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
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
        401: "Set OPENAI_API_KEY to the server's key.",
        403: "Set OPENAI_API_KEY to a key that may use this model.",
        404: "See that the address ends in /v1, and that the server knows the model by this name.",
    }
    hint = "Give the address it points to." if error.code < 400 else hints.get(error.code, "Ask for what it can do.")
    raise ServerError(f"{url} refuses (status {error.code}): {said.strip()[:300] or error.reason}", hint)


def _completions(found: Any, n: int, logprobs: bool) -> list[Completion]:
    """Read an answer; a ValueError makes the request be sent again."""
    try:
        made = [_completion(choice, logprobs) for choice in found["choices"]]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"an answer of another form ({error!r})") from error
    if len(made) != n:
        raise ValueError(f"{len(made)} texts where {n} were asked for")
    return made


def _completion(choice: Mapping[str, Any], logprobs: bool) -> Completion:
    text, ended = cast("str", choice["text"]), choice.get("finish_reason") == "stop"
    if not logprobs:
        return Completion(text, ended=ended)
    told = choice.get("logprobs")
    if not told or told.get("token_logprobs") is None:
        raise ServerError("The server gives no log-probabilities.", "Start it with them, or take another server.")
    return Completion(text, tuple(told["tokens"]), tuple(told["token_logprobs"]), ended)


class ServerSource:
    """A server's model as a source of texts, for KL.

    Args:
        server: The server.
        prompt: What texts are drawn after; some servers want one token at least, e.g. the model's start token.
    """

    def __init__(self, server: CompletionServer, prompt: str = "") -> None:
        self._server, self._prompt, self.name = server, prompt, server.model

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that drawn texts depend on, but their number, length and seed."""
        return {"server": self._server.url, "model": self._server.model, "prompt": self._prompt}

    def draw(self, number: int, length: int, seed: int) -> list[Drawn]:
        """Draw texts at temperature 1, with their log-probabilities; see `TextSource`."""
        sizes = [min(AT_ONCE, number - begin) for begin in range(0, number, AT_ONCE)]
        return [
            _drawn(one)
            for place, size in enumerate(track(sizes, f"{self.name}: drawing texts"))
            for one in self._server.complete(
                self._prompt, n=size, max_tokens=length, seed=seed_for(seed, "reference", place), logprobs=True
            )
        ]

    def shares_tokens_with(self, other: TextSource) -> bool:
        """Return False: a server's token ids are not known."""
        return False

    def logprobs(self, drawn: Sequence[Drawn], *, by_ids: bool) -> list[float]:
        """Return the log-probability of each text: as told when it was drawn, else asked for; see `TextSource`.

        Raises:
            ServerError: If the server cannot give texts back with their log-probabilities.
        """
        return [
            self._echoed(one.text) if one.logprob is None else one.logprob
            for one in track(drawn, f"{self.name}: reading texts")
        ]

    def _echoed(self, text: str) -> float:
        if not text:
            return 0.0
        # Most servers write a token at least; it stands after the text and is not counted.
        (found,) = self._server.complete(self._prompt + text, max_tokens=1, temperature=0.0, logprobs=True, echo=True)
        total, at = 0.0, 0
        for token, value in zip(found.tokens, found.logprobs, strict=True):
            begins, at = at, at + len(token)
            if value is None and at > len(self._prompt):
                raise ServerError(
                    f"{self._server.url} gives no log-probability of a text's first token.",
                    "Give it a token to begin with as prompt, e.g. the model's start token.",
                )
            if value is not None and at > len(self._prompt) and begins < len(self._prompt) + len(text):
                total += value
        if not found.text.startswith(self._prompt + text):
            raise ServerError(f"{self._server.url} does not give the prompt back.", "Take a server that knows 'echo'.")
        return total


def _drawn(found: Completion) -> Drawn:
    """Return a completion as a drawn text; the end token, which some servers list, is not counted."""
    known = [(token, value) for token, value in zip(found.tokens, found.logprobs, strict=True) if value is not None]
    if known and found.ended and "".join(token for token, _ in known) != found.text:
        without = known[:-1]
        if "".join(token for token, _ in without) == found.text:
            known = without
    return Drawn(found.text, len(known), logprob=math.fsum(value for _, value in known))
