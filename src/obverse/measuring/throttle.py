"""A pace: so many requests and tokens a minute, whichever threads ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from obverse.core import ConfigError

MINUTE = 60.0


class Throttle:
    """Lets requests pass so that no minute has more of them, or of their tokens, than a server allows.

    Args:
        requests: Requests in any 60 seconds at most; None for any number.
        tokens: Their tokens at most; None for any number. A request of more than that passes alone.
        clock: Tells the seconds.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: If a limit is below 1.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        for name, limit in (("requests", requests), ("tokens", tokens)):
            if limit is not None and limit < 1:
                raise ConfigError(f"{limit} {name} a minute are none.", "Give 1 or more, or leave the limit out.")
        self._requests, self._tokens, self._clock, self._sleep = requests, tokens, clock, sleep
        self._passed = deque[tuple[float, int]]()
        self._lock = threading.Lock()

    def wait(self, tokens: int = 0) -> None:
        """Return when a request of so many tokens may be sent; it then counts as sent."""
        while (seconds := self._pass(tokens)) > 0:
            self._sleep(seconds)

    def _pass(self, tokens: int) -> float:
        """Count a request as sent and return 0, or return the seconds until one counted earlier grows old."""
        with self._lock:
            now = self._clock()
            while self._passed and self._passed[0][0] <= now - MINUTE:
                self._passed.popleft()
            many = self._requests is not None and len(self._passed) >= self._requests
            much = self._tokens is not None and sum(size for _, size in self._passed) + tokens > self._tokens
            if self._passed and (many or much):
                return max(self._passed[0][0] + MINUTE - now, 1e-3)
            self._passed.append((now, tokens))
            return 0.0
