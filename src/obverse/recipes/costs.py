"""What work on somebody else's server would cost, said before it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from obverse.measuring.openai_server import BYTES_A_TOKEN


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in dollars per 1,000 tokens; None where not known.

    Attributes:
        read: Of what is sent.
        written: Of what the model writes.
        trained: Of what it is trained on, each epoch.
    """

    read: float | None = None
    written: float | None = None
    trained: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much work on a server may be; tokens are estimated from bytes, those written by the limit.

    Attributes:
        requests: Number of requests.
        read: Tokens sent.
        written: Tokens written, at most.
        trained: Tokens trained on, over all epochs.
        prices: What they cost.
    """

    requests: int
    read: int = 0
    written: int = 0
    trained: int = 0
    prices: Prices = Prices()

    @property
    def dollars(self) -> float | None:
        """What it would cost, in dollars; None if a price that is needed is not known."""
        parts = [
            (self.read, self.prices.read),
            (self.written, self.prices.written),
            (self.trained, self.prices.trained),
        ]
        if any(tokens and price is None for tokens, price in parts):
            return None
        return sum(tokens / 1000 * (price or 0.0) for tokens, price in parts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "requests": self.requests,
            "tokens_read": self.read,
            "tokens_written": self.written,
            "tokens_trained": self.trained,
            "dollars": self.dollars,
        }

    def __str__(self) -> str:
        """Return it as a sentence."""
        parts = [(self.read, "read"), (self.written, "written at most"), (self.trained, "trained on")]
        tokens = ", ".join(f"{number:,} tokens {what}" for number, what in parts if number)
        cost = "cost not known, no prices given" if self.dollars is None else f"about ${self.dollars:,.2f}"
        return f"{self.requests:,} request{'s' * (self.requests != 1)}, about {tokens or 'no tokens'}: {cost}"


Approve: TypeAlias = Callable[[Estimate], None]
"""Shows an estimate, and raises if the work is not wanted."""


def tokens_of(size: int) -> int:
    """Return about how many tokens so many bytes of English are."""
    return -(-size // BYTES_A_TOKEN)
