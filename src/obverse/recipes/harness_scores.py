"""Results of lm-evaluation-harness before and after an edit, side by side, with the error of the difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from obverse.recipes.harness_lm import harness_module

RESAMPLES = 200
"""Bootstrap samples for metrics that are no mean, such as a perplexity."""

Metric = Callable[[Sequence[Any]], float]
"""Sums up what a metric says of each document."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its standard error; None where one document, or a metric that has none, leaves it unknown."""

    value: float
    stderr: float | None


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One metric of one task or group.

    Attributes:
        task: Name of the task or group.
        metric: Name of the metric.
        filter: How the harness treated the answers first; ``none`` as a rule.
        n: How many documents were asked.
        before: On the unedited model.
        after: On the edited one; None if there was no edit.
        difference: After less before; its error is that of the paired difference, document by document.
        higher_is_better: Which direction is better; None if the task does not say.
        version: The task's.
    """

    task: str
    metric: str
    filter: str
    n: int
    before: Estimate
    after: Estimate | None = None
    difference: Estimate | None = None
    higher_is_better: bool | None = None
    version: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the difference (normal); None where its error is unknown."""
        if self.difference is None or self.difference.stderr is None:
            return None
        half = 1.959964 * self.difference.stderr
        return self.difference.value - half, self.difference.value + half

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "interval": list(self.interval) if self.interval else None}


def task_scores(
    tasks: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any] | None
) -> list[TaskScore]:
    """Put the results of two runs over the same documents side by side.

    Args:
        tasks: What the harness loaded (its ``TaskDict``).
        before: What its ``evaluate`` returned for the unedited model, with samples.
        after: The same for the edited one, if there is one.

    Returns:
        One score a task and metric, then one a group and metric.
    """
    scores = [
        _task_score(name, task, metric, filtered, before, after)
        for name, task in tasks["tasks"].items()
        for metric, filtered in _metrics(before["results"][name])
    ]
    for name, group in tasks.get("groups", {}).items():
        members = {task.task_name for task in group.get_all_tasks()}
        for metric, filtered in _metrics(before["results"].get(name, {})):
            parts = [s for s in scores if s.task in members and (s.metric, s.filter) == (metric, filtered)]
            how = next(one for one in group.aggregate_metric_list if one.metric == metric)
            scores.append(_group_score(name, metric, filtered, parts, how.weight_by_size, before, after))
    return scores


def _metrics(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (metric, filter) of what the harness writes as ``metric,filter``."""
    for key, value in results.items():
        metric, comma, filtered = key.rpartition(",")
        if comma and not metric.endswith("_stderr") and isinstance(value, int | float):
            yield metric, filtered


def _task_score(
    name: str, task: Any, metric: str, filtered: str, before: Mapping[str, Any], after: Mapping[str, Any] | None
) -> TaskScore:
    mean: Metric = harness_module("api.metrics").mean
    sums: Metric = task.aggregation().get(metric, mean)
    of = mean_error if sums is mean else lambda items: bootstrap_error(sums, items)

    def items(run: Mapping[str, Any]) -> list[Any]:
        return [one[metric] for one in run["samples"][name] if one["filter"] == filtered and metric in one]

    def estimate(run: Mapping[str, Any]) -> Estimate:
        return Estimate(float(run["results"][name][f"{metric},{filtered}"]), of(items(run)))

    first, second, difference = estimate(before), None, None
    if after is not None:
        second = estimate(after)
        pairs = list(zip(items(before), items(after), strict=True))
        error = (
            mean_error([new - old for old, new in pairs])
            if sums is mean
            else bootstrap_error(lambda drawn: sums([new for _, new in drawn]) - sums([old for old, _ in drawn]), pairs)
        )
        difference = Estimate(second.value - first.value, error)
    better = task.higher_is_better().get(metric)
    version = str(before["versions"].get(name, ""))
    return TaskScore(name, metric, filtered, len(items(before)), first, second, difference, better, version)


def _group_score(
    name: str,
    metric: str,
    filtered: str,
    parts: Sequence[TaskScore],
    weighted: bool,
    before: Mapping[str, Any],
    after: Mapping[str, Any] | None,
) -> TaskScore:
    weights = [part.n if weighted else 1 for part in parts]

    def estimate(run: Mapping[str, Any], errors: Sequence[float | None]) -> Estimate:
        return Estimate(float(run["results"][name][f"{metric},{filtered}"]), _weighted_error(errors, weights))

    first, second, difference = estimate(before, [part.before.stderr for part in parts]), None, None
    if after is not None:
        second = estimate(after, [part.after and part.after.stderr for part in parts])
        errors = [part.difference and part.difference.stderr for part in parts]
        difference = Estimate(second.value - first.value, _weighted_error(errors, weights))
    better = {part.higher_is_better for part in parts}
    version = str(before["versions"].get(name, ""))
    return TaskScore(
        name, metric, filtered, sum(part.n for part in parts), first, second, difference,
        better.pop() if len(better) == 1 else None, version,
    )  # fmt: skip


def mean_error(values: Sequence[float]) -> float | None:
    """Return the standard error of a mean, as the harness gives it; None for a single value."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def bootstrap_error(metric: Metric, items: Sequence[Any]) -> float | None:
    """Return the standard error of any metric by the bootstrap, always with the same draws; None for a single item."""
    if len(items) < 2:
        return None
    draws = np.random.default_rng(0).integers(len(items), size=(RESAMPLES, len(items)))
    return float(np.std([metric([items[i] for i in draw]) for draw in draws.tolist()], ddof=1))


def _weighted_error(errors: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """Return the standard error of a weighted mean of independent values."""
    known = [error for error in errors if error is not None]
    if not known or len(known) < len(errors):
        return None
    return math.sqrt(sum((w * e) ** 2 for w, e in zip(weights, known, strict=True))) / sum(weights)
