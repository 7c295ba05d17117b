"""Two runs held against each other: every metric, what differs in their settings, and the cases that differ most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from obverse.core import DataError
from obverse.measuring.statistics import Paired
from obverse.recipes.bench.cases import details, overall
from obverse.recipes.bench.results import compare_values
from obverse.recipes.bench.sources import Source, about, one_run
from obverse.report.bench_rows import SHOWN

SHOWN_CASES = 10
"""Cases listed, by default."""


@dataclass(frozen=True, slots=True)
class CaseDifference:
    """A case on which two runs differ.

    Attributes:
        id: Its id.
        prompt: The edited prompt.
        target: The new answer.
        target_true: The answer before, if known.
        values: Metric → value in the first and in the second run, those that differ.
    """

    id: str
    prompt: str
    target: str
    target_true: str
    values: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What came of it.

    Attributes:
        first: Name of the first run.
        second: Name of the second.
        metrics: Metric → the first's mean less the second's, with interval and p-value; unscaled.
        means: Metric → both means over the shared cases.
        shared: Cases that both have.
        only: Cases that the first and the second alone have.
        settings: Setting → its value in the first and in the second, those that differ.
        cases: The cases that differ most.
        notes: What to mind.
    """

    first: str
    second: str
    metrics: Mapping[str, Paired]
    means: Mapping[str, tuple[float, float]]
    shared: int
    only: tuple[int, int]
    settings: Mapping[str, tuple[Any, Any]]
    cases: tuple[CaseDifference, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        told = asdict(self)
        for name, one in told["metrics"].items():
            one |= {"label": SHOWN[name].label, "better": SHOWN[name].better, "means": list(self.means[name])}
        return told


def compare_runs(
    first: Path,
    second: Path,
    run: str | None = None,
    other_run: str | None = None,
    *,
    limit: int = SHOWN_CASES,
    force: bool = False,
) -> RunComparison:
    """Compare two runs over the cases that both have.

    Args:
        first: Folder of a run, or of a benchmark; ROME's own result folders are read too.
        second: The other.
        run: Label of the run, where the folder is a benchmark's; of both if the other is not named.
        other_run: Label of the second run.
        limit: Cases listed, at most.
        force: Compare by case id although the data sets differ.

    Raises:
        DataError: If the data sets differ, or equal ids are not the same facts, and ``force`` is not given; or no case
            is shared.
        UnknownName: If there is no such folder or run.
    """
    one, two = one_run(first, run), one_run(second, other_run or run)
    own, theirs = one.values(), two.values()
    shared = [id for id in own if id in theirs]
    if not shared:
        raise DataError("The runs have no case in common.", "Compare runs over one data set.")
    notes = _check_data(one, two, shared, force)
    differing = sorted(shared, key=lambda id: -_distance(own[id], theirs[id]))[:limit]
    pairs = {id: (own[id], theirs[id]) for id in shared}
    compared = compare_values({id: a for id, (a, _) in pairs.items()}, {id: b for id, (_, b) in pairs.items()})
    return RunComparison(
        first=f"{first}: {one.key}",
        second=f"{second}: {two.key}",
        metrics=compared,
        means={name: _means(name, pairs) for name in compared},
        shared=len(shared),
        only=(len(own) - len(shared), len(theirs) - len(shared)),
        settings=dict(_differences(_made(one), _made(two))),
        cases=tuple(_cases(one, [id for id in differing if _distance(*pairs[id])], pairs)),
        notes=notes,
    )


def _check_data(one: Source, two: Source, shared: list[str], force: bool) -> tuple[str, ...]:
    digests = [(source.run.config.get("dataset") or {}).get("digest") for source in (one, two)]
    if digests[0] == digests[1] and digests[0] is not None:
        return ()
    asked = [{id: _fact(detail) for id, detail in details(source, set(shared))} for source in (one, two)]
    other = [id for id in shared if asked[0].get(id) and asked[1].get(id) and asked[0][id] != asked[1][id]]
    if other and not force:
        raise DataError(
            f"{len(other):,} of {len(shared):,} cases of one id are different facts, the first {other[0]!r}: "
            f"{_said(asked[0][other[0]])} and {_said(asked[1][other[0]])}.",
            "Compare runs over one data set, or pass --force.",
        )
    if None not in digests and not force:
        raise DataError(
            f"The data sets differ ({str(digests[0])[:12]}, {str(digests[1])[:12]}); {len(shared):,} ids are in both.",
            "Compare runs over one data set, or pass --force to compare the cases of one id.",
        )
    which = f"; {len(other):,} of them are different facts" if other else ""
    return (f"The data sets are not known to be the same: compared are the {len(shared):,} cases of one id{which}.",)


def _fact(detail: Mapping[str, Any]) -> tuple[str, str] | None:
    return (detail["prompt"], detail["target"]) if detail.get("prompt") else None


def _said(fact: tuple[str, str] | None) -> str:
    return f"“{fact[0]} … {fact[1]}”" if fact else "?"


def _means(name: str, pairs: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]) -> tuple[float, float]:
    both = [(a[name], b[name]) for a, b in pairs.values() if name in a and name in b]
    return sum(a for a, _ in both) / len(both), sum(b for _, b in both) / len(both)


def _distance(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return by how much two runs differ on a case: in efficacy, paraphrases and neighbours, then in magnitudes."""
    names = [name for name in first if name in second and name.endswith(("_success", "_token_accuracy", "_generated"))]
    fine = [name for name in first if name in second and name.endswith("_magnitude")]
    scores = overall(first), overall(second)
    own = abs(scores[0] - scores[1]) if scores[0] is not None and scores[1] is not None else 0.0
    return 10 * own + sum(abs(first[n] - second[n]) for n in names) + 0.1 * sum(abs(first[n] - second[n]) for n in fine)


def _cases(
    source: Source, ids: list[str], pairs: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]
) -> Iterator[CaseDifference]:
    told = dict(details(source, set(ids)))
    for id in ids:
        first, second = pairs[id]
        values = {name: (first[name], second[name]) for name in SHOWN
                  if name in first and name in second and first[name] != second[name]}  # fmt: skip
        detail = told.get(id, {})
        fact = detail.get("prompt", ""), detail.get("target", ""), detail.get("target_true") or ""
        yield CaseDifference(id, *fact, values)


def _made(source: Source) -> dict[str, Any]:
    """Return everything known of how a run was made, dotted names to values."""
    versions = about(source).get("versions") or {}
    return {**_flat(source.run.config), **{f"versions.{name}": value for name, value in versions.items()}}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[prefix + name] = value
    return out


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield name, (first.get(name), second.get(name))
