"""Read the result folders of ROME's own program and sum them up as it does, number by number.

A run is a folder of ``case_<id>.json`` (MEMIT: ``<n>_edits-case_<id>.json``), one file a case, with what was measured
after the edit (``post``) and, if it was, before (``pre``).
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from obverse.core import DataError, UnknownName
from obverse.measuring.statistics import harmonic_mean

log = logging.getLogger(__name__)

_NAME = re.compile(r"(?:\d+_edits-)?case_(\d+)\.json")

_UNSCALED = ("time", "essence_score")
"""Metrics that are not shown times 100; others are, with two decimals."""

_SCORED = (
    ("rewrite_success", "paraphrase_success", "neighborhood_success"),
    ("rewrite_acc", "paraphrase_acc", "neighborhood_acc"),
)
"""Efficacy, generalization and specificity, whose harmonic mean is the score S: of CounterFact, of zsRE."""


class Spread(NamedTuple):
    """A mean over cases, and how much the cases differ."""

    mean: float
    std: float
    """Population standard deviation; NaN for the score, which is a mean of means."""


@dataclass(frozen=True, slots=True)
class RomeSummary:
    """What ROME's program makes of a run.

    Attributes:
        metrics: Metric → mean and deviation over cases, under the program's names, e.g. ``post_rewrite_success``:
            percent, save for ``time`` (seconds) and ``essence_score`` (a perplexity). A mean is NaN where a case has no
            prompts of the kind.
        num_cases: Number of cases.
    """

    metrics: Mapping[str, Spread]
    num_cases: int


def rome_runs(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Return the folders of runs: the folder itself if it has case files, else those within that have.

    Args:
        folder: A run, or a folder of runs (``results/ROME``).
        names: Take these only. Departs from the original, for which ``run_1`` names ``run_10`` too: names are whole.

    Raises:
        UnknownName: If there is no such folder or no such run, with near matches.
        DataError: If there is no run at all.
    """
    if not folder.is_dir():
        near = [sibling.name for sibling in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise UnknownName.among("folder", folder.name, near)
    inner = sorted(sub for sub in folder.iterdir() if sub.is_dir() and _case_files(sub))
    runs = [folder] if _case_files(folder) else inner
    if not runs:
        raise DataError(f"{folder} has no case_<id>.json, nor has a folder in it.", "Name a result folder of ROME.")
    by_name = {run.name: run for run in runs}
    for name in names:
        if name not in by_name:
            raise UnknownName.among("run", name, by_name)
    return [by_name[name] for name in names] if names else runs


def _case_files(folder: Path) -> list[Path]:
    found = {path: name for path in folder.iterdir() if (name := _NAME.fullmatch(path.name))}
    return sorted(found, key=lambda path: (int(found[path][1]), path.name))


def read_rome_run(folder: Path, first: int | None = None) -> list[dict[str, Any]]:
    """Read the cases of a run, by id.

    A file that is no JSON record, as one that was being written when the run was killed, is left out with a warning.
    Departs from the original, which says the same but counts the case before it twice.

    Args:
        folder: A run's folder.
        first: Leave out the cases with ids from here on (the original's ``first_n_cases``, which are not the first n
            cases unless ids are without gaps).

    Raises:
        DataError: If a case has no whole number as its id.
    """
    cases: list[dict[str, Any]] = []
    for path in _case_files(folder):
        try:
            case = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        if not isinstance(case, dict) or not isinstance(case.get("case_id"), int):
            raise DataError(f"{path} is no case: it has no whole number as its 'case_id'.", "Remove it, or mend it.")
        cases.append(case)
    cases.sort(key=lambda case: case["case_id"])
    return [case for case in cases if first is None or case["case_id"] < first]


def case_values(cases: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return each metric's value of each case that has it: shares 0 to 1, entropy in bits, seconds.

    Args:
        cases: As `read_rome_run` returns them.

    Returns:
        Metric → values, in the order of the cases. A case without prompts of a kind has NaN.

    Raises:
        DataError: If a case is malformed.

    Source:
        rome.md 5.2 and 5.3; Meng et al. 2022, sections 3.2 and 3.3.
    """
    out: dict[str, list[float]] = {}
    for case in cases:
        try:
            found = _values_of(case)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"Case {case.get('case_id')} is malformed: {error!r}.", "Make that case again.") from error
        for name, value in found.items():
            out.setdefault(name, []).append(value)
    return out


def _values_of(case: Mapping[str, Any]) -> dict[str, float]:
    out = {"time": float(case["time"])} if "time" in case else {}
    for when in ("pre", "post"):
        for key, value in (case.get(when) or {}).items():
            kind = f"{when}_{key.split('_')[0]}"
            if key in ("rewrite_prompts_probs", "paraphrase_prompts_probs"):
                out[f"{kind}_success"] = _mean(value, lambda p: p["target_true"] > p["target_new"])
                out[f"{kind}_diff"] = _mean(value, lambda p: math.exp(-p["target_new"]) - math.exp(-p["target_true"]))
            elif key == "neighborhood_prompts_probs":
                out[f"{kind}_success"] = _mean(value, lambda p: p["target_true"] < p["target_new"])
                out[f"{kind}_diff"] = _mean(value, lambda p: math.exp(-p["target_true"]) - math.exp(-p["target_new"]))
            elif key in ("rewrite_prompts_correct", "paraphrase_prompts_correct", "neighborhood_prompts_correct"):
                out[f"{kind}_acc"] = _mean(value, float)
            elif key in ("ngram_entropy", "reference_score", "essence_score"):
                out[f"{when}_{key}"] = math.nan if value is None else float(value)
    return out


def _mean(items: Sequence[Any], read: Callable[[Any], float]) -> float:
    return sum(read(item) for item in items) / len(items) if items else math.nan


def summarize_rome(cases: Sequence[Mapping[str, Any]]) -> RomeSummary:
    """Sum up a run as ``experiments.summarize`` does: means over cases of means over prompts.

    Args:
        cases: As `read_rome_run` returns them.

    Raises:
        DataError: If a case is malformed.
    """
    values = case_values(cases)
    metrics = {name: Spread(float(np.mean(found)), float(np.std(found))) for name, found in values.items()}
    for when in ("pre", "post"):
        for names in _SCORED:
            means = [metrics[name].mean for kind in names if (name := f"{when}_{kind}") in metrics]
            if len(means) == len(names):
                score = math.nan if any(map(math.isnan, means)) else harmonic_mean(means)
                metrics[f"{when}_score"] = Spread(score, math.nan)
    return RomeSummary({name: _shown(name, spread) for name, spread in metrics.items()}, len(cases))


def _shown(name: str, spread: Spread) -> Spread:
    if name.endswith(_UNSCALED):
        return spread
    return Spread(*(float(np.round(value * 100, 2)) for value in spread))
