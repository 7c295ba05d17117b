"""The data sets of a benchmark: by name, or a file of the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from obverse.core import Case, ConfigError, DataError, UnknownName
from obverse.data.facts_file import read_cases
from obverse.data.official import FACT_SETS, official_cases
from obverse.data.relations import case_for
from obverse.data.snippets import read_snippets
from obverse.data.starter import starter_cases

OWN = "starter"
"""The set that comes with the package."""

NAMES = (OWN, *FACT_SETS)
"""Names of data sets; a file may stand in their place."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases to edit.

    Attributes:
        name: Its name, or that of the file.
        cases: The cases chosen, in order.
        digest: Hash of all its cases, chosen or not.
        size: How many cases it has.
        first: Place of the first one chosen, from 0.
    """

    name: str
    cases: tuple[Case, ...]
    digest: str
    size: int
    first: int


def load_dataset(
    name: str,
    path: Path | None = None,
    *,
    limit: int | None = None,
    first: int = 0,
    snippets: Path | None = None,
    reverse: bool = True,
) -> Dataset:
    """Read the cases of a benchmark.

    Args:
        name: A name of `NAMES`, or a CSV, JSON or JSONL file of facts in any schema that is known.
        path: A file to take in place of the published one.
        limit: How many cases at most.
        first: Pass over so many.
        snippets: CounterFact's file of reference texts, for RS and essence.
        reverse: Whether cases without reverse prompts get those known for their relation. Other kinds of probes are
            left as the data set has them: its metrics are published ones.

    Raises:
        UnknownName: If there is neither such a data set nor such a file.
        DataError: If a record is malformed, or no case is left.
        ConfigError: If texts are given for a set that has none.
    """
    cases = _read(name, path, snippets)
    if reverse:
        cases = [_with_reverse(case) for case in cases]
    chosen = cases[first:][:limit]
    if not chosen:
        raise DataError(
            f"No case is left: {name} has {len(cases):,}, and the first {first:,} are passed over.",
            "Give a smaller --skip, or a larger set.",
        )
    return Dataset(Path(name).name, tuple(chosen), digest(cases), len(cases), first)


def _read(name: str, path: Path | None, snippets: Path | None) -> list[Case]:
    if name in FACT_SETS:
        return official_cases(name, path, snippets)
    file = path or Path(name)
    if name == OWN and path is None:
        cases = starter_cases()
    elif path is None and not file.is_file() and not file.suffix:
        raise UnknownName.among("data set", name, NAMES)
    else:
        return read_cases(file, read_snippets(snippets) if snippets else None)
    if snippets is not None:
        raise ConfigError(f"{name} has no use for reference texts.", "Leave --snippets out.")
    return cases


def _with_reverse(case: Case) -> Case:
    if "reverse" in case.probes or not (known := case_for(case.fact).probes.get("reverse")):
        return case
    return replace(case, probes={**case.probes, "reverse": known})


def digest(cases: Sequence[Case]) -> str:
    """Return a hash of everything in some cases."""
    total = hashlib.sha256()
    for case in cases:
        told = {name: value for name, value in asdict(replace(case, probes={})).items() if value}
        probes = {kind: [asdict(probe) for probe in probes] for kind, probes in case.probes.items()}
        total.update(json.dumps({**told, "probes": probes}, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return total.hexdigest()
