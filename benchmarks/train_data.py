"""What stands before the trainer: speed and memory of scoring, tokenizing and packing; run by ``benchmarks.train``.

What a training step consumes at the preset ``gpu`` is assumed, not measured: GPT-2 with 124 M parameters, rows of 1,024
tokens, 6 N + 6 layers length width FLOPs a token, on a device of 312 TFLOP/s (A100, bfloat16) that is used to 40 %.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from obverse.core import build
from obverse.data.corpus import corpus
from obverse.data.scored import ScoredText
from obverse.data.scored_files import document_source, write_documents
from obverse.data.segments import segments
from obverse.data.synthetic_pii import PIICorpus, pii_documents
from obverse.measuring.scorers.loading import load_scorer
from obverse.recipes.guarded import GROUP
from obverse.recipes.score import ScoreRequest, run_score
from obverse.recipes.train_tokenizer import load_tokenizer
from obverse.training.objectives.mle import MLE
from obverse.training.packing import PackSettings, pack
from obverse.training.sampling import Draw, TrainingData

PARAMETERS, LAYERS, WIDTH, LENGTH = 123.6e6, 12, 768, 1024
"""Of GPT-2, embeddings of positions left out."""

STEP = 312e12 * 0.4 / (6 * PARAMETERS + 6 * LAYERS * LENGTH * WIDTH)
"""Tokens a second that the training step consumes, by assumption."""

TOKENIZER = "smollm2-135m"
"""A built-in model's: byte-level BPE as GPT-2's, about as many words."""


def speed(megabytes: float) -> dict[str, Any]:
    """Return tokens and megabytes a second of each part of the pipeline.

    A ``core second`` is a second of processor time, over all threads and processes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prose, python = folder / "prose.jsonl", folder / "python.jsonl"
        size = write_texts(prose, _repeated(corpus("docstrings").texts(), megabytes))
        code = write_texts(python, _repeated(_standard_library(), megabytes))
        tokenizer = load_tokenizer(TOKENIZER)
        packed, data = _timed(lambda: _packed(prose, folder / "packed", tokenizer))
        rows = len(data) - len(data) % 8
        read, _ = _timed(
            lambda: [data.collate([data[Draw(i + k, -1, 0)] for k in range(8)]) for i in range(0, rows, 8)]
        )
        scoring = {
            "pep8": _scoring(python, code, folder / "pep8", "pep8", {"backend": "ruff"}),
            "pii": _scoring(prose, size, folder / "pii", "pii", {}),
        }
    per_core, reading = data.rows.counts.tokens / packed.cpu, rows * LENGTH / read.cpu
    return {
        "ratio": {"packing, a core": round(per_core / STEP, 2), "reading rows, a core": round(reading / STEP, 1)},
        "tokens_per_second_of_a_step_assumed": round(STEP),
        "tokens_per_core_second": {"packing": round(per_core), "reading rows": round(reading)},
        "cores_that_pack_five_times_as_fast": round(5 * STEP / per_core, 1),
        "scoring": scoring,
        "bars": {"packing": 5, "pep8, two cores": 2.0, "pii": 1.0},
        "megabytes": round(size / 1e6, 1),
        "tokenizer": TOKENIZER,
    }


def memory(megabytes: Sequence[int]) -> dict[str, Any]:
    """Return the peak of memory of scoring and packing generated corpora of some sizes, and of 2 GB by extension."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        texts = [document.text for document in pii_documents(PIICorpus(documents=5000), 0)]
        for step in ("score", "pack"):
            peaks: list[float] = []
            for size in megabytes:
                path = Path(name) / f"{size}.jsonl"
                if not path.is_file():
                    write_texts(path, _repeated(texts, size))
                command = [sys.executable, "-m", "benchmarks.train", "--memory-of", step, str(path)]
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
                )
                peaks.append(json.loads(done.stdout.splitlines()[-1]))
                sys.stderr.write(f"{step}, {size} MB: peak {peaks[-1]:.0f} MB\n")
            slope = (peaks[-1] - peaks[0]) / (megabytes[-1] - megabytes[0])
            at_most = peaks[-1] + max(0.0, slope) * (2000 - megabytes[-1])
            sizes = {f"{size} MB": round(peak) for size, peak in zip(megabytes, peaks, strict=True)}
            found[step] = {**sizes, "2 GB, extended": round(at_most)}
    return {"peak_megabytes": found, "bar": 1000}


def memory_of(step: str, path: str) -> float:
    """Do a step on a corpus; returns this process's peak in megabytes (a scoring worker holds one group of texts)."""
    with tempfile.TemporaryDirectory() as name:
        if step == "score":
            run_score(ScoreRequest(path, "pii", Path(name) / "scored"))
        else:
            _packed(Path(path), Path(name), load_tokenizer(TOKENIZER))
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def write_texts(path: Path, texts: Iterable[str]) -> int:
    """Write a corpus of texts; returns their size in bytes."""
    size = 0

    def documents() -> Iterator[ScoredText]:
        nonlocal size
        for text in texts:
            size += len(text.encode())
            yield ScoredText((text,), (0.0,), {})

    write_documents(path, documents())
    return size


def _scoring(source: Path, size: int, out: Path, name: str, settings: dict[str, Any]) -> dict[str, float]:
    """Score a corpus, by the scorer alone in groups as `obverse score` hands over, and by `obverse score` itself."""
    scorer, whole = load_scorer(name, settings), getattr(load_scorer(name, settings), "score_lines", None)
    texts = [document.text.text for document in document_source(str(source)).read()]
    groups = _groups([[text] for text in texts]) if whole else _groups([segments(t, "sentences") for t in texts])
    alone, _ = _timed(lambda: [(whole or scorer.score)(group) for group in groups])
    ask = partial(ScoreRequest, str(source), name, settings=settings, workers=2)
    run_score(ask(out / "warm", limit=2))  # starts the process that the workers come from
    run, _ = _timed(lambda: run_score(ask(out / "all")))
    megabytes = size / 1e6
    return {
        "MB a core second": round(megabytes / alone.cpu, 2),
        "MB/s": round(megabytes / alone.wall, 2),
        "MB/s, obverse score --workers 2": round(megabytes / run.wall, 2),
    }


def _groups(documents: Iterable[Sequence[str]]) -> list[list[str]]:
    groups, size = [list[str]()], 0
    for document in documents:
        if size + (length := sum(map(len, document))) > GROUP and groups[-1]:
            groups, size = [*groups, []], 0
        groups[-1].extend(document)
        size += length
    return groups


def _packed(source: Path, cache: Path, tokenizer: Any) -> TrainingData:
    objective = MLE(MLE.config_type())
    settings = build(PackSettings, {"length": LENGTH})
    rows = pack([document_source(str(source))], objective, tokenizer, settings, seed=0, cache=cache)
    return TrainingData(rows, objective, 0, 0)


class Spent(NamedTuple):
    """Seconds."""

    cpu: float
    """Of processor time, over all threads, and over programs that were started and have ended."""
    wall: float


def _timed(work: Callable[[], Any]) -> tuple[Spent, Any]:
    """Return what some work took, and what came of it."""
    before, began = _cpu(), time.perf_counter()
    found = work()
    return Spent(_cpu() - before, time.perf_counter() - began), found


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _repeated(texts: Iterable[str], megabytes: float) -> Iterator[str]:
    """Yield texts, over and over with a number before each, until they are as many megabytes."""
    known, left, turn = list(texts), megabytes * 1e6, 0
    while left > 0:
        for text in known:
            if left <= 0:
                return
            left -= len(text)
            yield text if not turn else f"# {turn}\n{text}"
        turn += 1


def _standard_library() -> Iterator[str]:
    """Yield the files of the standard library, without its tests."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted([*root.glob("*.py"), *root.glob("[a-z]*/*.py")]):
        if "site-packages" not in file.parts and "test" not in file.parts:
            yield file.read_text("utf-8", errors="replace")
