"""The result of verifying an edit: answers before and after, and their summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from obverse.core import KINDS, Case, Interval, Kind
from obverse.measuring.statistics import harmonic_mean, mean_interval, mean_intervals
from obverse.verifying.drift import Drift
from obverse.verifying.probes import Answer

PROTOCOLS: dict[str, Callable[[Answer], float | None]] = {
    "success": lambda a: None if a.success is None else float(a.success),
    "magnitude": lambda a: a.magnitude,
    "probability": lambda a: a.probability,
    "rank": lambda a: float(a.rank),
    "token_accuracy": lambda a: a.token_accuracy,
    "all_tokens": lambda a: float(a.all_tokens),
    "generated": lambda a: float(a.exact),
}
"""Name → what it reads off an answer. Higher is better, save for rank, where 1 is best."""

_MEASURES = frozenset({"magnitude", "probability", "rank"})
"""Protocols whose values are no counts of successes, even where all happen to be 0 or 1."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """A prompt continued greedily before and after the edit."""

    prompt: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The answers to one case's probes.

    Attributes:
        case: The case.
        before: Answers of the unedited model.
        after: Answers of the edited model, in the same order.
        continuations: Open prompts continued.
    """

    case: Case
    before: tuple[Answer, ...]
    after: tuple[Answer, ...]
    continuations: tuple[Continuation, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What held and what broke.

    Attributes:
        cases: One entry a case.
        method: The editor.
        model: The model's name.
        drift: What moved on neutral text, if measured.
    """

    cases: tuple[CaseReport, ...]
    method: str
    model: str
    drift: Drift | None = None

    def answers(self, kind: Kind, *, after: bool = True) -> list[Answer]:
        """Return all answers of a kind."""
        rows = ((c.after if after else c.before) for c in self.cases)
        return [answer for row in rows for answer in row if answer.kind == kind]

    def interval(self, kind: Kind, protocol: str, *, after: bool = True) -> Interval | None:
        """Return the mean of a protocol over the probes of a kind; None where there is none to average."""
        read = PROTOCOLS[protocol]
        values = [value for answer in self.answers(kind, after=after) if (value := read(answer)) is not None]
        return mean_interval(values, shares=protocol not in _MEASURES) if values else None

    def intervals(self, kind: Kind) -> dict[tuple[str, bool], Interval]:
        """Return (protocol, whether after the edit) → `interval`, of all protocols at once, which is much quicker."""
        keys, columns = list[tuple[str, bool]](), list[list[float]]()
        for after in (False, True):
            answers = self.answers(kind, after=after)
            for protocol, read in PROTOCOLS.items():
                if values := [value for answer in answers if (value := read(answer)) is not None]:
                    keys.append((protocol, after))
                    columns.append(values)
        found = mean_intervals(columns, [protocol not in _MEASURES for protocol, _ in keys])
        return dict(zip(keys, found, strict=True))

    @property
    def score(self) -> float | None:
        """Harmonic mean of efficacy, generalization and specificity success (ROME's S); None if one is absent."""
        found = [self.interval(kind, "success") for kind in ("efficacy", "generalization", "specificity")]
        means = [interval.mean for interval in found if interval is not None]
        return harmonic_mean(means) if len(means) == 3 else None

    def summary(self) -> dict[str, Any]:
        """Return kind → protocol → before and after, each with mean, low, high and n."""
        out: dict[str, Any] = {}
        for kind in KINDS:
            if not self.answers(kind):
                continue
            found = self.intervals(kind)
            out[kind] = {
                protocol: {"before": asdict(found[protocol, False]), "after": asdict(found[protocol, True])}
                for protocol in PROTOCOLS
                if (protocol, False) in found and (protocol, True) in found
            }
        return out

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "model": self.model,
            "method": self.method,
            "score": self.score,
            "summary": self.summary(),
            "drift": asdict(self.drift) if self.drift else None,
            "cases": [
                {
                    "id": c.case.id,
                    "fact": asdict(c.case.fact),
                    "probes": [
                        {"kind": old.kind, **asdict(old.probe), "before": _plain(old), "after": _plain(new)}
                        for old, new in zip(c.before, c.after, strict=True)
                    ],
                    "continuations": [asdict(text) for text in c.continuations],
                }
                for c in self.cases
            ],
        }

    def __str__(self) -> str:
        """Return a table of kinds and protocols, before → after."""
        lines = [f"{self.method} on {self.model}: {_facts(self.cases)}"]
        lines.append(f"{'':15}{'n':>3}  {'success':>15} {'probability':>17} {'rank':>15} {'generated':>15}")
        for kind in KINDS:
            if answers := self.answers(kind):
                cells = [self._cell(kind, p, s) for p, s in _COLUMNS]
                lines.append(f"{kind:15}{len(answers):>3}  {cells[0]:>15} {cells[1]:>17} {cells[2]:>15} {cells[3]:>15}")
        if self.drift:
            d = self.drift
            lines.append(
                f"drift: perplexity {d.perplexity_before:.2f} → {d.perplexity_after:.2f}, KL {d.kl:.4f} nats a token "
                f"(n = {d.tokens}); |change| / |weight| {max(d.weight_change.values(), default=0.0):.1%}"
            )
        return "\n".join(lines)

    def _cell(self, kind: Kind, protocol: str, style: str) -> str:
        old, new = (self.interval(kind, protocol, after=after) for after in (False, True))
        return "-" if old is None or new is None else f"{old.mean:{style}} → {new.mean:{style}}"


_COLUMNS = (("success", ".0%"), ("probability", ".1%"), ("rank", ".0f"), ("generated", ".0%"))


def _facts(cases: Sequence[CaseReport]) -> str:
    first = cases[0].case.fact
    return f"{first.text} → {first.target}" if len(cases) == 1 else f"{len(cases)} facts"


def _plain(answer: Answer) -> dict[str, Any]:
    fields = asdict(answer)
    del fields["kind"], fields["probe"]
    return {**fields, "success": answer.success, "magnitude": answer.magnitude}
