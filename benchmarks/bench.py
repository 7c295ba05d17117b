"""What a benchmark of single edits costs: many at once against one at a time, and the bookkeeping beside.

    python -m benchmarks.bench --json

Sixty-four facts are edited by ROME and verified, each on the fresh model: in batches, where each row carries its own
edit, and one at a time by the same code. Both go through the same blocks of facts in turn, so that a slow moment of the
machine hits both. Compared are processor time (all threads) and wall time, and the results: every metric of every case.

`--bookkeeping` writes and reads 20,000 synthetic records instead: time a case, and memory at 2,000 and at 20,000.
`--gpt2-xl` edits a random model of GPT-2 XL's shape: speed does not need real weights.
The last line is one JSON object: {"ratio": {"batched": ...}, ...}.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.facts import FACTS
from obverse.core import Case, JsonValue, Run
from obverse.data.relations import case_for
from obverse.data.starter import starter_cases
from obverse.model.language_model import LanguageModel
from obverse.recipes.bench import Schedule, plan_methods, read_bench
from obverse.recipes.bench.results import write_summaries
from obverse.recipes.bench.worker import Job, Work, Worker
from obverse.recipes.models import ModelChoice
from obverse.verifying.measures import MeasureConfig
from obverse.verifying.scores import METRICS

MEASURE = MeasureConfig(generation=False)
PUBLISHED = ("rome.weight_decay=0.5", "rome.clamp=4", "rome.steps=20", "rome.contexts.lengths=[[5,10],[10,10]]")


def facts(count: int) -> list[Case]:
    """Return cases with all their probes: those of `benchmarks.facts`, then the starter set's."""
    own = [replace(case_for(fact), id=f"own {n}", prompts=()) for n, fact in enumerate(FACTS)]
    rest = [replace(case, prompts=()) for case in starter_cases()]
    return [*own, *rest[:: max(1, len(rest) // count)]][:count]


def compare(lm: LanguageModel, count: int, batch: int, settings: Sequence[str]) -> dict[str, Any]:
    """Edit and verify facts both ways, block by block, and return times and the largest difference in results."""
    runs = {run.label: run for run in plan_methods(["rome"], settings)}
    work = Work(ModelChoice(), runs, tuple(facts(count)), Schedule(), MEASURE, batch, None, {})
    worker = Worker(work, lm)
    worker(Job("rome", range(1)))  # samples contexts, counts second moments
    times = {"batched": [0.0, 0.0], "one at a time": [0.0, 0.0]}
    worst, total = 0.0, len(work.cases)
    for start in range(0, total, batch):
        block = range(start, min(start + batch, total))
        found: dict[str, list[Any]] = {}
        for name, jobs in (("batched", [block]), ("one at a time", [range(i, i + 1) for i in block])):
            cpu, wall = time.process_time(), time.perf_counter()
            found[name] = [record for job in jobs for record in worker(Job("rome", job))]
            times[name][0] += time.process_time() - cpu
            times[name][1] += time.perf_counter() - wall
        for one, other in zip(found["batched"], found["one at a time"], strict=True):
            worst = max(worst, *(abs(one["values"][name] - other["values"][name]) for name in one["values"]))
        spent = ", ".join(f"{name} {wall:.0f} s" for name, (_, wall) in times.items())
        sys.stderr.write(f"{block.stop} of {total}: {spent}\n")
    (cpu, wall), (cpu_alone, wall_alone) = times["batched"], times["one at a time"]
    return {
        "ratio": {"batched": round(cpu_alone / cpu, 2), "batched, wall": round(wall_alone / wall, 2)},
        "cpu_seconds_per_edit": {"batched": cpu / total, "one at a time": cpu_alone / total},
        "wall_seconds_per_edit": {"batched": wall / total, "one at a time": wall_alone / total},
        "largest_difference_of_a_metric": worst,
        "edits": total,
        "batch": batch,
        "model": lm.name,
    }


def bookkeeping(count: int) -> dict[str, float]:
    """Write, read and sum up synthetic records; returns seconds a case by step, and the peak of memory in bytes."""
    values: dict[str, JsonValue] = {name: (i % 7) / 7 for i, name in enumerate(METRICS)}
    text: JsonValue = ["a text of some length " * 20]
    config: JsonValue = {"method": "unedited", "schedule": {"kind": "single"}}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Run.open(Path(folder) / "unedited", config, about={"label": "unedited"}) as run:
            ids = [str(n) for n in range(count)]
            for place, id in enumerate(run.todo(ids)):
                run.append({"id": id, "values": values, "texts": text, "place": place})
        written = time.perf_counter()
        with Run.open(Path(folder) / "unedited", config) as run:
            assert not run.todo(ids)
        resumed = time.perf_counter()
        write_summaries(read_bench(Path(folder)))
        summed = time.perf_counter()
    return {
        "append": (written - began) / count,
        "resume": (resumed - written) / count,
        "sum up": (summed - resumed) / count,
        "peak_memory_bytes": _peak(),
    }


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def _of_a_process(count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench", "--bookkeeping-of", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout.splitlines()[-1])


def random_gpt2_xl() -> LanguageModel:
    """Return a random model of GPT-2 XL's shape, with the tokenizer of a built-in model (its vocabulary is smaller)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = LanguageModel.load("smollm2-135m", device="cpu").tokenizer  # 49,152 words; GPT-2 has 50,257
    config = GPT2Config(n_embd=1600, n_head=25, n_layer=48, n_positions=1024, vocab_size=50_257)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = GPT2LMHeadModel(config).eval()
    return LanguageModel(model, tokenizer, "random gpt2-xl")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--edits", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--gpt2-xl", action="store_true", help="a random model of GPT-2 XL's shape")
    parser.add_argument("--published", action="store_true", help="ROME's released settings: 20 contexts, 20 steps")
    parser.add_argument("--bookkeeping", action="store_true")
    parser.add_argument("--bookkeeping-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    options = parser.parse_args(arguments)
    if options.bookkeeping_of:
        sys.stdout.write(json.dumps(bookkeeping(options.bookkeeping_of)) + "\n")
        return
    if options.bookkeeping:
        found: dict[str, Any] = {f"{count:,} cases": _of_a_process(count) for count in (2_000, 20_000)}
    else:
        lm = random_gpt2_xl() if options.gpt2_xl else LanguageModel.load(options.model)
        settings = PUBLISHED if options.published else ()
        found = compare(lm, options.edits, options.batch, settings)
        found["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
        if not options.json:
            for name, value in found.items():
                sys.stdout.write(f"{name}: {json.dumps(value)}\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
