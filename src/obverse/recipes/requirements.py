"""What an edit must reach: ``efficacy=1``, ``specificity=0.8``, ``reverse.generated=0.5``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.core import KINDS, Case, ConfigError, Kind, UnknownName

if TYPE_CHECKING:
    from obverse.verifying import Report

SHARES = ("success", "generated", "all_tokens", "token_accuracy")
"""Protocols whose mean is a share from 0 to 1, higher being better."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """The least share of a kind's probes that must succeed.

    Attributes:
        kind: Kind of probe.
        protocol: How a probe is judged.
        least: Share from 0 to 1.
    """

    kind: Kind
    protocol: str
    least: float

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"{self.kind}{'' if self.protocol == 'success' else '.' + self.protocol}={self.least:g}"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A requirement that was not met.

    Attributes:
        requirement: What was asked.
        found: What was measured; None if nothing could be.
    """

    requirement: Requirement
    found: float | None

    def __str__(self) -> str:
        """Return one line that says what is missing."""
        found = "nothing to judge by" if self.found is None else f"{self.found:.3g}"
        return f"required {self.requirement}, found {found}"


def parse_requirement(text: str) -> Requirement:
    """Read ``kind=share`` or ``kind.protocol=share``.

    Raises:
        ConfigError: If it has another form or the share is not between 0 and 1.
        UnknownName: If the kind or the protocol does not exist.
    """
    name, sign, value = text.partition("=")
    kind_name, _, protocol = name.strip().partition(".")
    kind: Kind | None = next((known for known in KINDS if known == kind_name), None)
    if kind is None:
        raise UnknownName.among("kind of probe", kind_name, KINDS)
    if (protocol := protocol or "success") not in SHARES:
        raise UnknownName.among("protocol", protocol, SHARES)
    try:
        least = float(value) if sign else -1.0
    except ValueError:
        least = -1.0
    if not 0 <= least <= 1:
        raise ConfigError(
            f"The requirement {text!r} is not of the form kind=share.",
            "Write for example --require efficacy=1 or --require specificity=0.8 (a share from 0 to 1).",
        )
    return Requirement(kind, protocol, least)


def check_answerable(requirements: Sequence[Requirement], cases: Sequence[Case]) -> None:
    """Refuse, before any work, a requirement that no probe can answer.

    Raises:
        ConfigError: Naming what to add.
    """
    for wanted in requirements:
        probes = [probe for case in cases for probe in case.probes.get(wanted.kind, ())]
        if not probes:
            raise ConfigError(
                f"{wanted} is required, but there is no {wanted.kind} probe.",
                f"Add probes with --{_FLAGS[wanted.kind]}, or in the file of facts.",
            )
        if wanted.protocol == "success" and not any(probe.rejected or probe.contrast for probe in probes):
            raise ConfigError(
                f"{wanted} is required, but success compares the target with the true answer, which is not known.",
                f"Give the true answer (--true), or ask for --require {wanted.kind}.generated={wanted.least:g}.",
            )


_FLAGS = {"efficacy": "prompt", "generalization": "paraphrase", "specificity": "neighbour", "reverse": "reverse"}


def shortfalls(requirements: Sequence[Requirement], report: Report) -> tuple[Shortfall, ...]:
    """Return the requirements that a report does not meet."""
    found = [(wanted, report.interval(wanted.kind, wanted.protocol)) for wanted in requirements]
    return tuple(
        Shortfall(wanted, interval.mean if interval else None)
        for wanted, interval in found
        if interval is None or interval.mean < wanted.least - 1e-9
    )
