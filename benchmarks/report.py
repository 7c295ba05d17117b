"""How long the pages take, in processor seconds, and how large they are.

    python -m benchmarks.report [--rounds 3]

`edits` is the page of 1,000 edited facts (26,000 questions, all intervals resampled); `train` that of a run of 20,000
logged steps. The facts and the run are made up. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from obverse.report import render
from obverse.report.train_page import render_train

BARS = {"edits": 2.0, "train": 2.0}
"""Seconds at most."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # where the made-up ones are
    import reports
    import train_logs

    cases, run = reports.many(1000), train_logs.trained(steps=20_000, every=1000)
    kinds: dict[str, Callable[[], str]] = {"edits": lambda: render(cases), "train": lambda: render_train(run)}
    found: dict[str, dict[str, float]] = {}
    for name, make in kinds.items():
        spent, page = list[float](), ""
        for _ in range(rounds):
            began = time.process_time()
            page = make()
            spent.append(time.process_time() - began)
        found[name] = {"seconds": median(spent), "bytes": len(page.encode()), "bar": BARS[name]}
        sys.stdout.write(f"{name}: {median(spent):.2f} s of {BARS[name]:g}, {len(page.encode()) / 1e6:.2f} MB\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
