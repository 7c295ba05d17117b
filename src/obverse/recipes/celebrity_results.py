"""The published tables of experiment 2, counted again; and where 1,573 pairs came from."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from obverse.core import DataError, Interval
from obverse.measuring.statistics import mean_interval
from obverse.recipes.celebrity_scores import wilson_share

PAIRS = "parent_child_pairs.csv"
RESULTS = "_reversal_test_results.csv"
"""How the table of another model ends; its name stands before."""
_KEY = ("child", "parent", "parent_type", "child_prediction")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelTable:
    """A model that was asked about the pairs.

    Attributes:
        model: Its name.
        parent: Probability of the parent; of chat models the share of right samples.
        child: Probability of the child.
        parent_logprob: Mean log-probability of the parent, in nats; None of chat models.
        child_logprob: Mean log-probability of the child.
        parent_once: Share of pairs whose parent was right at least once; None of completion models.
        child_once: Share of pairs whose child was.
        joined_parent: Mean probability of the parent over the joined rows, as plotted.
        joined_child: Mean probability of the child over them.
    """

    model: str
    parent: Interval
    child: Interval
    parent_logprob: float | None
    child_logprob: float | None
    parent_once: float | None
    child_once: float | None
    joined_parent: float
    joined_child: float


@dataclass(frozen=True, slots=True)
class PublishedTables:
    """The published pairs and models.

    Attributes:
        rows: Rows of the table of pairs.
        children: Distinct children.
        reversed: Share of pairs that could be turned round.
        by_type: The same of mothers and of fathers.
        other_forms: Predictions that are not the child's name letter by letter.
        repeated: Rows whose child and parent stand in an earlier row too.
        joined: Rows that a join of all models' tables over their common columns gives.
        doubled: Children whose rows stand more than once in each table, and so grow in the join.
        models: The models.
    """

    rows: int
    children: int
    reversed: Interval
    by_type: dict[str, Interval]
    other_forms: int
    repeated: int
    joined: int
    doubled: tuple[str, ...]
    models: tuple[ModelTable, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def read_published(folder: Path) -> PublishedTables:
    """Count the published tables again.

    A row that stands m times in each of f tables stands m ** f times in their join; the published number of pairs,
    1,573, is that of the joined rows.

    Raises:
        DataError: If the folder lacks the table of pairs, or a table lacks a column or has no rows.
    """
    pairs = _rows(folder / PAIRS, (*_KEY, "can_reverse"))
    kinds = sorted({row["parent_type"] for row in pairs})
    reverse = [row["can_reverse"] == "True" for row in pairs]
    tables = {path.name.removesuffix(RESULTS): _rows(path, _KEY) for path in sorted(folder.glob(f"*{RESULTS}"))}
    counts = [Counter(_key(row) for row in rows) for rows in tables.values()]
    many = {key: math.prod(count[key] for count in counts) for key in counts[0]} if counts else {}
    seen = Counter((row["child"], row["parent"]) for row in pairs)
    return PublishedTables(
        rows=len(pairs),
        children=len({row["child"] for row in pairs}),
        reversed=wilson_share(reverse),
        by_type={
            kind: wilson_share([row["can_reverse"] == "True" for row in pairs if row["parent_type"] == kind])
            for kind in kinds
        },
        other_forms=sum(row["child_prediction"] not in ("", row["child"]) for row in pairs),
        repeated=sum(count - 1 for count in seen.values()),
        joined=sum(many.values()),
        doubled=tuple(sorted({key[0] for key, number in many.items() if number > counts[0][key]})),
        models=tuple(_model(name, rows, many) for name, rows in tables.items()),
    )


def _model(name: str, rows: Sequence[Row], many: dict[tuple[str, ...], int]) -> ModelTable:
    chat = f"{name}_can_find_parent" in rows[0]
    ends = ("can_find_parent", "can_find_child") if chat else ("parent_logprob", "child_logprob")
    if missing := [f"{name}_{end}" for end in ends if f"{name}_{end}" not in rows[0]]:
        raise DataError(f"{name}{RESULTS} has no column {missing[0]}.", "Give the published tables unchanged.")
    parent, child = ([float(row[f"{name}_{end}"]) for row in rows] for end in ends)
    shares = [values if chat else [math.exp(value) for value in values] for values in (parent, child)]
    times = Counter(_key(row) for row in rows)
    weights = [many[_key(row)] / times[_key(row)] for row in rows]
    means = [mean_interval(values, shares=False) for values in shares]
    joined = [
        sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights) if sum(weights) else math.nan
        for values in shares
    ]
    return ModelTable(
        model=name,
        parent=means[0],
        child=means[1],
        parent_logprob=None if chat else sum(parent) / len(parent),
        child_logprob=None if chat else sum(child) / len(child),
        parent_once=sum(value > 0 for value in parent) / len(parent) if chat else None,
        child_once=sum(value > 0 for value in child) / len(child) if chat else None,
        joined_parent=joined[0],
        joined_child=joined[1],
    )


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[column] for column in _KEY)


def _rows(path: Path, columns: Sequence[str]) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Give the folder of the published tables.") from error
    if not rows:
        raise DataError(f"{path} has no rows.", "Give the published tables unchanged.")
    if missing := [column for column in columns if column not in rows[0]]:
        raise DataError(f"{path} has no column {', '.join(missing)}.", "Give the published tables unchanged.")
    return rows
