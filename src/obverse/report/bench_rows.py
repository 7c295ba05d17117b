"""What a benchmark's report is made of: rows of numbers, comparisons, curves, and the cases behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from obverse.core import Interval
from obverse.measuring.statistics import Paired
from obverse.verifying.scores import METRICS, SCORES, Better


class Told(NamedTuple):
    """How a metric is shown.

    Attributes:
        label: Its name in tables.
        meaning: What it says, in a line.
        scale: What it is multiplied by in tables.
        better: Which way is better.
    """

    label: str
    meaning: str
    scale: float
    better: Better


_PARTS = {"success": "ES, PS and NS", "token_accuracy": "EA, PA and NA"}

SHOWN: dict[str, Told] = {
    **{name: Told(label, f"harmonic mean of {_PARTS[part]}; 0 if one of them is 0", 100.0, "up")
       for name, (label, part) in SCORES.items()},
    **{name: Told(one.label, one.meaning, one.scale, one.better) for name, one in METRICS.items()},
}  # fmt: skip
"""Name → how it is shown, for all metrics and scores."""


CURVES = ("score", "efficacy_success", "generalization_success", "specificity_success", "drift_kl")
CURVES_WITHOUT_RIVALS = (
    "accuracy_score", "efficacy_token_accuracy", "generalization_token_accuracy", "specificity_token_accuracy",
    "drift_kl",
)  # fmt: skip
"""Metrics of curves and of sweeps, by whether there are rival answers."""


@dataclass(frozen=True, slots=True)
class Row:
    """A run summed up.

    Attributes:
        label: Its name; unique in a report.
        method: The editor.
        schedule: In what company facts were edited.
        after: Facts written before the cases were asked; 0 where facts are edited alone or at once.
        n: Cases asked.
        failed: How many could not be edited; they count with the unedited model's values.
        broken: How many gave numbers that are not finite.
        metrics: Name → mean over cases and its 95 % interval, unscaled.
        baseline: Whether it is the unedited model.
        collapsed: Whether the model is a ruin.
        seconds: Mean time to make an edit.
        point: The settings that a sweep gives it.
        printed: Name → mean and population deviation as ROME's program prints them; of its own folders only.
    """

    label: str
    method: str
    schedule: str
    after: int
    n: int
    failed: int
    broken: int
    metrics: Mapping[str, Interval]
    baseline: bool = False
    collapsed: bool = False
    seconds: float | None = None
    point: Mapping[str, str] = field(default_factory=dict)
    printed: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against another, in one metric, over the cases that both have.

    Attributes:
        first: Label of the run.
        second: Label of the one it is held against.
        metric: Name of the metric.
        found: The first's mean less the second's, unscaled, with interval and p-value.
        adjusted: The p-value after Holm's correction over all comparisons with the same second run.
    """

    first: str
    second: str
    metric: str
    found: Paired
    adjusted: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A run whose facts were written one upon the other.

    Attributes:
        label: Its name.
        points: The run summed up at each point, by facts written.
        forgetting: Edits made since a fact was written → efficacy of facts of about that age at the last point.
        metric: The metric of ``forgetting``.
    """

    label: str
    points: tuple[Row, ...]
    forgetting: Mapping[int, Interval]
    metric: str

    @property
    def collapsed_after(self) -> int | None:
        """After how many facts the model was first found to be a ruin."""
        return next((point.after for point in self.points if point.collapsed), None)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case, and how each run did on it.

    Attributes:
        id: Its id.
        prompt: The edited prompt.
        target: The new answer.
        target_true: The answer before, if known.
        values: Label → metric → value, unscaled; those of the unedited model where an edit failed.
        errors: Label → why the edit failed.
        details: The probes, and each run's answers and texts, as JSON values; None where they are left out.
    """

    id: str
    prompt: str
    target: str
    target_true: str
    values: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, str]
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A whole report.

    Attributes:
        title: What was measured: data set and model.
        rows: Runs at their last point, the unedited model's first.
        comparisons: Paired tests.
        curves: Of the runs with sequences.
        notes: Sentences to be read with the numbers.
        origin: Group → name → value: settings of each run, versions.
    """

    title: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def edited(self) -> tuple[Row, ...]:
        """The rows of editors."""
        return tuple(row for row in self.rows if not row.baseline)


def best(rows: Sequence[Row], name: str) -> frozenset[str]:
    """Return the labels of the editors that are best in a metric; none where fewer than two have it.

    Args:
        rows: All rows, the unedited model's among them if it was measured.
        name: The metric; the nearer to the unedited model the better for some, which then need it.
    """
    found = {row.label: row.metrics[name].mean for row in rows if name in row.metrics and not row.baseline}
    way = SHOWN[name].better
    if way == "near":
        base = [row.metrics[name].mean for row in rows if row.baseline and name in row.metrics]
        found = {label: abs(value - base[0]) for label, value in found.items()} if len(base) == 1 else {}
    if len(found) < 2:
        return frozenset()
    top = max(found.values()) if way == "up" else min(found.values())
    return frozenset(label for label, value in found.items() if value == top)


def curve_metrics(found: Sequence[Curve]) -> list[str]:
    """Return the metrics of the curves."""
    present = {name for curve in found for point in curve.points for name in point.metrics}
    names = CURVES if "efficacy_success" in present else CURVES_WITHOUT_RIVALS
    return [name for name in names if name in present]


def age_name(age: int) -> str:
    """Return how a bin of ages is named by its lower end."""
    return str(age) if age < 2 else f"{age}+"


def colour_places(rows: Sequence[Row]) -> dict[str, int]:
    """Return label → place among the editors, by which a run has the same colour in every figure."""
    return {label: place for place, label in enumerate(row.label for row in rows if not row.baseline)}
