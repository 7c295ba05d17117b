"""What comes of `obverse.recipes.edit.run_edit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from obverse.editing import Edit
from obverse.measuring import TopToken
from obverse.recipes.facts import Dropped
from obverse.recipes.plan import Plan
from obverse.recipes.requirements import Shortfall
from obverse.recipes.stack import CrossTalk
from obverse.verifying import Continuation, Report


@dataclass(frozen=True, slots=True)
class TopChange:
    """The likeliest next tokens after a fact's prompt, before and after the edit."""

    prompt: str
    before: tuple[TopToken, ...]
    after: tuple[TopToken, ...]


@dataclass(frozen=True, slots=True)
class EditResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        edit: The edit; None after a dry run.
        report: Its verification, if it was verified.
        tops: The likeliest next tokens before and after.
        answers: The queries with their answers before and after, each once.
        dropped: Facts that gave way to later ones.
        cross_talk: Predicted for edits that are stacked, strongest first.
        shortfalls: Requirements that were not met.
        seconds: Time by step.
        folder: Where the edit was written.
    """

    plan: Plan
    edit: Edit | None = None
    report: Report | None = None
    tops: tuple[TopChange, ...] = ()
    answers: tuple[Continuation, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    cross_talk: tuple[CrossTalk, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the tensors as JSON values."""
        return {
            "plan": asdict(self.plan),
            "details": [dict(detail) for detail in self.edit.details] if self.edit else [],
            "top": [asdict(top) for top in self.tops],
            "answers": [asdict(answer) for answer in self.answers],
            "dropped": [asdict(fact) for fact in self.dropped],
            "report": self.report.to_json() if self.report else None,
            "cross_talk": [asdict(pair) for pair in self.cross_talk],
            "shortfalls": [str(shortfall) for shortfall in self.shortfalls],
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder) if self.folder else None,
        }
