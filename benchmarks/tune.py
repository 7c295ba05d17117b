"""Which settings suit a model? One editor on CounterFact records, one edit at a time on the fresh model, by settings.

    python -m benchmarks.tune --method ft-l --first 5000 --limit 16 --grid layers=[0],[2] --grid bound=0.001,0.002

Every combination of the grids is a point, upon the method's preset and ``--set``. A point is ES, PS, NS and their
harmonic mean S in percent (rome.md 5.2), with 95 % intervals by cases, and seconds an edit. Each is one line of
``--out``, and what stands there is not measured again. ``--method none`` is the unedited model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.edit_quality import DATA
from obverse.core import KINDS, Case, DataError, Interval
from obverse.data import read_cases
from obverse.model.language_model import LanguageModel
from obverse.recipes.plan import make_editor, prepare
from obverse.recipes.sweep_scores import draws, scores
from obverse.recipes.sweep_work import edit_side_by_side, successes

SCORES = ("ES", "PS", "NS", "S")


def points(grids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Return the combinations of some grids, each as overrides ``key=value``.

    Args:
        grids: Texts of the form ``key=value,value``; a comma within brackets belongs to a value.
    """
    axes: list[list[str]] = []
    for grid in grids:
        key, sign, values = grid.partition("=")
        if not sign:
            raise DataError(f"{grid!r} is no grid.", "Write for example --grid layers=[0],[2].")
        axes.append([f"{key}={value}" for value in re.split(r",(?![^\[{]*[\]}])", values)])
    return itertools.product(*axes)


def measure(
    lm: LanguageModel, method: str, overrides: Sequence[str], cases: Sequence[Case], at_once: int = 1
) -> dict[str, Any]:
    """Edit each fact on the fresh model and return the scores.

    Args:
        lm: The model; untouched.
        method: Name of the editor; ``none`` for the unedited model.
        overrides: Its settings as ``key=value``.
        cases: The facts and their probes.
        at_once: Edits optimized side by side, where the method can.

    Returns:
        The resolved settings, each score as [mean, low, high] in percent, seconds an edit and how many failed.
    """
    editor = None if method == "none" else make_editor(lm, method, None, overrides)
    if editor is not None:
        prepare(lm, editor)
    shares = np.full((len(cases), len(KINDS)), np.nan)
    seconds, failed = 0.0, 0
    for start in range(0, len(cases), at_once):
        group = cases[start : start + at_once]
        began = time.process_time()
        edits = edit_side_by_side(editor, lm, [case.fact for case in group]) if editor else [None] * len(group)
        seconds += time.process_time() - began
        failed += sum(edit is None for edit in edits) if editor else 0
        for i, (case, edit) in enumerate(zip(group, edits, strict=True), start):
            with edit.applied(lm) if edit else nullcontext():
                held = successes(lm, case)
            shares[i] = [held.get(kind, np.nan) for kind in KINDS]
    found = scores(shares, draws(len(cases)))
    intervals = (found.efficacy, found.generalization, found.specificity, found.score)
    return {
        "config": editor.config.model_dump(mode="json") if editor else {},
        "layers": list(editor.layers(lm)) if editor else [],
        **{name: _percent(interval) for name, interval in zip(SCORES, intervals, strict=True)},
        "seconds": seconds / len(cases),
        "failed": failed,
    }


def _percent(interval: Interval) -> list[float]:
    return [round(100 * value, 1) for value in (interval.mean, interval.low, interval.high)]


def line(record: Mapping[str, Any]) -> str:
    """Return a point as a row of a Markdown table."""
    cells = " | ".join("{:.0f} ({:.0f} to {:.0f})".format(*record[name]) for name in SCORES)
    told = f"`{' '.join(record['overrides'])}`" if record["overrides"] else "(preset)"
    failed = f", {record['failed']} failed" if record["failed"] else ""
    return f"| {record['method']} | {told} | {record['limit']}{failed} | {cells} | {record['seconds']:.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the points that are not measured yet, and print all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", required=True)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--path", type=Path, default=DATA)
    parser.add_argument("--first", type=int, default=5000, help="first record; those before are for reporting")
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--at-once", type=int, default=1, help="edits optimized side by side (same results)")
    parser.add_argument("--grid", action="append", default=[], metavar="KEY=VALUE,VALUE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/tune.jsonl"))
    options = parser.parse_args(arguments)
    known: list[dict[str, Any]] = []
    if options.out.is_file():
        known = [json.loads(text) for text in options.out.read_text("utf-8").splitlines()]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cases = read_cases(options.path)[options.first : options.first + options.limit]
    lm = LanguageModel.load(options.model)
    sys.stdout.write("| method | settings | n | ES | PS | NS | S | s/edit |\n|---|---|---|---|---|---|---|---|\n")
    for point in points(options.grid):
        asked: dict[str, Any] = {
            "model": options.model, "method": options.method, "overrides": [*options.set, *point],
            "first": options.first, "limit": options.limit,
        }  # fmt: skip
        record = next((one for one in known if all(one[key] == asked[key] for key in asked)), None)
        if record is None:
            record = asked | measure(lm, options.method, asked["overrides"], cases, options.at_once)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        sys.stdout.write(line(record) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
