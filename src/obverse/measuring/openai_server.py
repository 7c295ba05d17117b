"""A client of servers that speak OpenAI's completions protocol (vLLM, llama.cpp, text-generation-webui, ...)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from obverse.core import JsonValue, seed_for, track
from obverse.measuring.openai_http import ServerError, Wire
from obverse.measuring.reference_kl import Drawn, TextSource
from obverse.measuring.throttle import Throttle

__all__ = ["AT_ONCE", "BYTES_A_TOKEN", "Completion", "CompletionServer", "ServerError", "ServerSource"]

AT_ONCE = 8
"""Completions asked for in one request."""

BYTES_A_TOKEN = 4
"""Bytes of English that make a token, about; for the pace and for estimates."""


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
    """A model on a server: continues prompts, and answers in a chat. Requests are sent again as `Wire` says.

    Args:
        url: Address of the protocol's root, e.g. ``http://localhost:8000/v1``.
        model: What the server calls the model.
        key: Secret sent to the server; see `Wire`.
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
        model: str,
        *,
        key: str | None = None,
        timeout: float = 120.0,
        tries: int = 7,
        sleep: Callable[[float], object] = time.sleep,
        throttle: Throttle | None = None,
    ) -> None:
        self._wire = Wire(url, key=key, timeout=timeout, tries=tries, sleep=sleep, throttle=throttle)
        self.url, self.model = self._wire.url, model

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
        fewer: bool = False,
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
            fewer: Whether fewer continuations will do, one at least: some servers write one whatever is asked.

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
        return self._post("/completions", asked, lambda found: _completions(found, n, logprobs, fewer))

    def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        n: int = 1,
        max_tokens: int = 64,
        temperature: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Let the server answer in a chat.

        Args:
            messages: What was said so far, each with ``role`` and ``content``.
            n: How many answers.
            max_tokens: Their tokens at most.
            temperature: What logits are divided by; 0 is greedy.
            seed: Seed of the draws, for servers that take one.
            stop: Texts that end an answer, at most four.

        Returns:
            One answer at least and ``n`` at most: some servers give one whatever they are asked for.

        Raises:
            ServerError: If the server refuses, is not there, or does not give what was asked.
        """
        asked: dict[str, Any] = {
            "model": self.model, "messages": [dict(one) for one in messages], "n": n, "max_tokens": max_tokens,
            "temperature": temperature,
        }  # fmt: skip
        asked |= {"seed": seed % 2**31} if seed is not None else {}
        asked |= {"stop": list(stop)} if stop else {}
        return self._post("/chat/completions", asked, lambda found: _messages(found, n))

    def _post(self, path: str, asked: Mapping[str, Any], read: Callable[[Any], list[Completion]]) -> list[Completion]:
        body = json.dumps(asked).encode()
        tokens = len(body) // BYTES_A_TOKEN + asked["n"] * asked["max_tokens"]
        return self._wire.send("POST", path, read, body=body, tokens=tokens)


def _messages(found: Any, n: int) -> list[Completion]:
    """Read the answers of a chat; what a model refuses to say is in a field of its own on some servers."""
    try:
        made = [
            Completion(
                cast("str", one["message"].get("content") or one["message"].get("refusal") or ""),
                ended=one.get("finish_reason") == "stop",
            )
            for one in found["choices"][:n]
        ]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"an answer of another form ({error!r})") from error
    if not made:
        raise ValueError("no answer among the choices")
    return made


def _completions(found: Any, n: int, logprobs: bool, fewer: bool) -> list[Completion]:
    """Read an answer; a ValueError makes the request be sent again."""
    try:
        made = [_completion(choice, logprobs) for choice in found["choices"]]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"an answer of another form ({error!r})") from error
    if fewer and made:
        return made[:n]
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
