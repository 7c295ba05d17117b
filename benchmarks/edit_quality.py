"""How good are the edits? ROME on CounterFact records, one edit at a time on the fresh model.

    python -m benchmarks.edit_quality --model gemma-3-270m --limit 100 --json

Reports efficacy, paraphrase and neighbour success (ES, PS, NS: the expected answer's NLL per token is the lower one,
rome.md 5.2), each with n and a 95 % interval, beside the unedited model. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from obverse.core import KINDS, Case, Kind, build
from obverse.data import read_cases
from obverse.editing.presets import preset
from obverse.editing.rome import Rome, RomeConfig
from obverse.measuring.likelihood import likelihoods
from obverse.measuring.statistics import harmonic_mean, mean_interval
from obverse.model.language_model import LanguageModel

DATA = Path(__file__).parents[2] / "shared" / "data" / "counterfact" / "counterfact_flat_edit.json"


def successes(lm: LanguageModel, case: Case) -> dict[Kind, list[tuple[float, float]]]:
    """Return (NLL of the expected, NLL of the rejected answer) per token of each probe."""
    probes = [(kind, probe) for kind in KINDS for probe in case.probes.get(kind, ()) if probe.rejected]
    pairs = [(p.text, answer) for _, p in probes for answer in (p.expected, p.rejected or "")]
    found = likelihoods(lm, pairs)
    out: dict[Kind, list[tuple[float, float]]] = {}
    for i, (kind, _) in enumerate(probes):
        out.setdefault(kind, []).append((-found[2 * i].mean, -found[2 * i + 1].mean))
    return out


def summary(records: Sequence[dict[Kind, list[tuple[float, float]]]]) -> dict[str, object]:
    """Return ES, PS, NS in percent with n and interval, and their harmonic mean."""
    rows: dict[str, object] = {}
    means: list[float] = []
    for kind, name in (("efficacy", "ES"), ("generalization", "PS"), ("specificity", "NS")):
        values = [float(a < b) for record in records for a, b in record.get(kind, [])]
        interval = mean_interval(values)
        means.append(interval.mean)
        rows[name] = {
            "value": 100 * interval.mean,
            "low": 100 * interval.low,
            "high": 100 * interval.high,
            "n": interval.n,
        }
    rows["S"] = 100 * harmonic_mean(means)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--path", type=Path, default=DATA)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch", type=int, default=1, help="edits optimized side by side (same results)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    lm = LanguageModel.load(options.model)
    cases = read_cases(options.path)[options.offset : options.offset + options.limit]
    editor = Rome(build(RomeConfig, preset("rome", lm), overrides=options.set))
    before, after, seconds = [], [], 0.0
    for start in range(0, len(cases), options.batch):
        chosen = cases[start : start + options.batch]
        began = time.process_time()
        edits = editor.edit_each(lm, [case.fact for case in chosen])
        seconds += time.process_time() - began
        for case, edit in zip(chosen, edits, strict=True):
            before.append(successes(lm, case))
            with edit.applied(lm):
                after.append(successes(lm, case))
        if not options.json:
            sys.stderr.write(f"\r{len(after)}/{len(cases)}")
    result = {
        "model": options.model, "settings": options.set, "layers": editor.layers(lm), "cases": len(cases),
        "offset": options.offset, "before": summary(before), "after": summary(after),
        "cpu_seconds_per_edit": seconds / len(cases),
    }  # fmt: skip
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
