"""Reports made by hand, no model needed; run as a program, it writes a page to look at."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from obverse.core import Case, Fact
from obverse.data.relations import case_for
from obverse.report import write_report
from obverse.verifying import Answer, CaseReport, Continuation, Drift, Report

NEEDLE = Fact("Space Needle", "The {} is located in the city of", "Paris", "Seattle")


def answer(kind, probe, p, other=None, *, rank=1, generated="", correct=True, exact=False):
    return Answer(kind, probe, p, float(np.log(p)), other, rank, float(correct), correct, generated, exact)


def case_report(case: Case, rng) -> CaseReport:
    before, after = [], []
    for kind, probes in case.probes.items():
        for probe in probes:
            low, high = rng.beta(0.4, 20), rng.beta(6, 1.5)
            kept = rng.beta(2, 4)
            if kind == "specificity":
                old, new = (kept, 0.02), (kept * rng.uniform(0.6, 1.05), 0.03 + 0.25 * rng.beta(0.5, 3))
            elif kind == "reverse":
                old, new = (low / 30, low / 20), (low / 28, low / 25)
            else:
                old, new = (low, 0.4 * kept + 0.1), (high, 0.03)
            for (p, other), out in ((old, before), (new, after)):
                exact = p > 0.3
                text = f" {probe.expected}, and it is one of the" if exact else " Washington.\nIt is a"
                rank = 1 if exact else int(1 + 3 / max(p, 1e-4))
                has = probe.rejected or probe.contrast
                out.append(
                    answer(
                        kind, probe, p, other if has else None, rank=rank, generated=text, correct=exact, exact=exact
                    )
                )
    texts = tuple(
        Continuation(
            text,
            " popular tourist attraction in Seattle, Washington, built for the fair.",
            " tower in Paris.\nIt is <b>tall</b>",
        )
        for text in case.prompts
    )
    return CaseReport(case, tuple(before), tuple(after), texts)


def report(cases: list[Case], seed: int = 0) -> Report:
    rng = np.random.default_rng(seed)
    moved = Drift(23.41, 23.62, 0.0083, 512, {"model.layers.8.mlp.down_proj": 0.0124})
    return Report(tuple(case_report(case, rng) for case in cases), "rome", "a-small-model", moved)


def needle() -> Report:
    return report([case_for(NEEDLE)])


def many(n: int) -> Report:
    return report(
        [case_for(Fact(f"Tower {i}", "The {} is located in the city of", "Paris", "Seattle"), str(i)) for i in range(n)]
    )


BACKGROUND = {
    "settings": {"layers": [8], "steps": 20, "moment": {"ridge": None, "samples": 1000}},
    "versions": {"obverse": "0.1", "torch": "2.6"},
    "seconds": {"optimizing": 12.3, "probing": 30.1},
    "adapter": "edits/needle",
    "command": "obverse edit 'The Space Needle is located in the city of' --to Paris",
    "top_before": [(" Seattle", 0.612), (" New", 0.08), (" the", 0.04), ("\n", 0.03), (" Paris", 0.004)],
    "top_after": [(" Paris", 0.941), (" Seattle", 0.02), (" Lyon", 0.01), (" France", 0.008), (" Rome", 0.001)],
    "made": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}  # fmt: skip

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_report(folder / "one.html", needle(), **BACKGROUND)
    write_report(folder / "many.html", many(1000))
