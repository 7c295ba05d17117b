"""What an objective costs: its tokens a second over those of next-token prediction, by the same trainer.

    python -m benchmarks.train --json [--only bico,awr] [--length 1024 --batch 1]

One random Llama, rows of one corpus, one trainer. The objectives take turns, a few whole steps each (data, forward,
backward, AdamW), in an order drawn anew each round; each has next-token prediction right before or after it, so that
a slow moment of the machine hits both. Tokens are those of the rows as they were packed, before an objective masks or
lengthens them. A ratio is the median over rounds of such a pair's, with a 95 % bootstrap interval over rounds.
`ratio` is by processor time of all threads, which other work beside hardly changes; `ratio_wall` by wall time, the
one to look at on an idle machine, and on a GPU. "bico-published" is the released eager program
(`benchmarks.eager_bico`).

The model has the proportions of GPT-2 with 124 M parameters: as wide, with two blocks instead of twelve and a sixth
of the vocabulary, so that attention, blocks and vocabulary have about the shares of a step that they have there.

`--data` measures the pipeline before the trainer, `--memory` what it holds in memory (`benchmarks.train_data`).
The last line is one JSON object: {"ratio": {"bico": ..., "awr": ..., ...}, ...}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import TrainerCallback, TrainingArguments

from benchmarks.eager_bico import EagerBICO
from benchmarks.train_data import memory, memory_of, speed
from obverse.core import build
from obverse.data.scored import ScoredText
from obverse.data.scored_files import document_source, write_documents
from obverse.data.synthetic_pii import PIICorpus, pii_documents
from obverse.model.language_model import LanguageModel
from obverse.recipes.train_tokenizer import train_tokenizer
from obverse.training import objectives
from obverse.training.from_corpus import resolve
from obverse.training.objective import Objective
from obverse.training.objectives.bico import BICOConfig
from obverse.training.packing import PackSettings, pack
from obverse.training.sampling import TrainingData
from obverse.training.settings import TokenizerSettings
from obverse.training.trainer import ObjectiveTrainer

BARS = {"mle": 0.95, "filtering": 0.95, "conditional": 0.95, "unlikelihood": 0.95, "rwr": 0.95,
        "awr": 0.9, "infilling": 0.85, "bico": 0.8}  # fmt: skip
"""Least ratio that is asked for."""

BASE, PUBLISHED = "baseline", "bico-published"
"""Next-token prediction, to which all are compared (``mle`` is the same again: what noise does), and the other one."""

NAMES = (*BARS, PUBLISHED, "reverse", "permutation", "mlm-u")

SHAPE: dict[str, Any] = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 2,
                         "num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 8192}  # fmt: skip

SEED = 0


class Clock(TrainerCallback):
    """Processor and wall time of the steps of a run, data included."""

    def __init__(self) -> None:
        self.seconds = (0.0, 0.0)
        self._began = self.seconds

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self._began = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Look."""
        self.seconds = (_now()[0] - self._began[0], _now()[1] - self._began[1])


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def random_model(documents: Sequence[ScoredText], length: int) -> LanguageModel:
    """Return a random Llama of `SHAPE` with a tokenizer trained on some documents."""
    tokenizer = train_tokenizer(TokenizerSettings(kind="bpe", size=2000), (document.text for document in documents))
    config = transformers.LlamaConfig(**SHAPE, max_position_embeddings=2 * length, tie_word_embeddings=True)
    return LanguageModel(transformers.LlamaForCausalLM(config), tokenizer, "random llama")


def trainers(
    names: Sequence[str], folder: Path, length: int, batch: int, steps: int
) -> Iterator[tuple[str, ObjectiveTrainer, Clock]]:
    """Yield each objective's trainer, on a model of its own, and its clock."""
    documents = [*pii_documents(PIICorpus(documents=3000), SEED)]
    corpus = folder / "corpus.jsonl"
    write_documents(corpus, documents)
    lm = random_model(documents, length)
    for name in names:
        own = deepcopy(lm)
        own.model.requires_grad_(True)
        objective = _objective(name, documents)
        objective.setup(own, torch.Generator().manual_seed(SEED))
        settings = build(PackSettings, {"length": length})
        rows = pack([document_source(str(corpus))], objective, own.tokenizer, settings, seed=SEED, cache=folder)
        args = TrainingArguments(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=batch, learning_rate=1e-4, seed=SEED,
            save_strategy="no", logging_steps=10, report_to=[], disable_tqdm=True, remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(), bf16=torch.cuda.is_available(),
        )  # fmt: skip
        clock = Clock()
        data = TrainingData(rows, objective, 0, SEED)
        yield name, ObjectiveTrainer(own.model, objective, args, data, [clock]), clock


def _objective(name: str, documents: Sequence[ScoredText]) -> Objective:
    if name == PUBLISHED:
        return EagerBICO(build(BICOConfig))
    kind = objectives.load("mle" if name == BASE else name)
    return kind(resolve(kind.config_type(), documents[:1000]))


def compare(names: Sequence[str], length: int, batch: int, steps: int, rounds: int) -> dict[str, Any]:
    """Train under each objective in turn; returns ratios, intervals and times."""
    with tempfile.TemporaryDirectory() as folder:
        (_, *base), *crew = trainers((BASE, *names), Path(folder), length, batch, steps)
        beside, seconds = ({name: np.zeros((rounds, 2)) for name in names} for _ in range(2))
        order = np.random.default_rng(SEED)
        for turn in range(-1, rounds):  # the first to warm up
            for place in order.permutation(len(crew)):
                name, *own = crew[place]
                pair = [(base, beside), (own, seconds)]
                for (trainer, clock), kept in pair if order.random() < 0.5 else reversed(pair):
                    trainer.train()
                    kept[name][max(turn, 0)] = clock.seconds
            spent = ", ".join(f"{name} {cpu:.1f}" for name, (cpu, _) in _medians(seconds, turn + 1).items())
            sys.stderr.write(f"round {turn + 1} of {rounds}, median CPU-s: {spent}\n")
    tokens = length * batch * steps
    found = {name: _ratios(beside[name] / seconds[name]) for name in names}
    seconds[BASE] = np.concatenate([*beside.values()])
    return {
        "ratio": {name: cpu[0] for name, (cpu, _) in found.items()},
        "ratio_wall": {name: wall[0] for name, (_, wall) in found.items()},
        "interval": {name: cpu[1:] for name, (cpu, _) in found.items()},
        "interval_wall": {name: wall[1:] for name, (_, wall) in found.items()},
        "bar": {name: BARS[name] for name in names if name in BARS},
        "tokens_per_second": {name: round(tokens / np.median(times[:, 1])) for name, times in seconds.items()},
        "length": length,
        "batch": batch,
        "rounds": rounds,
        "steps_a_round": steps,
        "model": SHAPE,
    }


def _medians(seconds: dict[str, np.ndarray], rounds: int) -> dict[str, np.ndarray]:
    return {name: np.median(times[: rounds or 1], 0) for name, times in seconds.items()}


def _ratios(pairs: np.ndarray) -> list[list[float]]:
    """Return, for processor and wall time, the median ratio and its interval over resampled rounds."""
    draws = np.random.default_rng(SEED).integers(len(pairs), size=(5000, len(pairs)))
    drawn = np.quantile(np.median(pairs[draws], 1), (0.025, 0.975), axis=0)
    whole = np.median(pairs, 0)
    return [[round(float(value), 3) for value in (whole[i], *drawn[:, i])] for i in (0, 1)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="objectives, with commas between; all by default")
    parser.add_argument("--length", type=int, default=256, help="tokens of a row")
    parser.add_argument("--batch", type=int, default=4, help="rows of a step")
    parser.add_argument("--steps", type=int, default=2, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", action="store_true", help="the pipeline's speed instead")
    parser.add_argument("--memory", action="store_true", help="the pipeline's memory instead")
    parser.add_argument("--megabytes", type=int, nargs="+", help="of the corpora of these two [10; 50 200]")
    parser.add_argument("--memory-of", nargs=2, metavar=("STEP", "CORPUS"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    options = parser.parse_args(arguments)
    if options.memory_of:
        sys.stdout.write(f"{memory_of(*options.memory_of)}\n")
        return
    if options.data or options.memory:
        found = speed(*options.megabytes or [10]) if options.data else memory(options.megabytes or [50, 200])
        sys.stdout.write(json.dumps(found) + "\n")
        return
    names = options.only.split(",") if options.only else NAMES
    found = compare(names, options.length, options.batch, options.steps, options.rounds)
    found["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    if not options.json:
        for name, value in found.items():
            sys.stdout.write(f"{name}: {json.dumps(value)}\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
