"""What `obverse doctor` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Group = Literal["versions", "extras", "devices", "cache", "network"]
Status = Literal["ok", "note", "fault"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to.
        name: What was looked at.
        status: ``ok``; ``note``: something is missing that not every journey needs; ``fault``: nothing works so.
        found: What was found.
        hint: What to do; empty if nothing is to be done.
    """

    group: Group
    name: str
    status: Status
    found: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was looked at.

    Attributes:
        checks: One a thing, in order.
    """

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether no fault was found."""
        return all(check.status != "fault" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"healthy": self.healthy, "checks": [asdict(check) for check in self.checks]}


def size(n: float) -> str:
    """Return bytes as people say them."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"
