"""What a causal trace costs: ours against one forward pass a cell, in one run.

    python -m benchmarks.trace --json
    python -m benchmarks.trace --work       measured against predicted work, over prompt lengths and depths
    python -m benchmarks.trace --memory     peak memory of a 200-token prompt on a 30-layer model

Both trace the three kinds (hidden, mlp, attn; windows of 10 layers) of one prompt of ten tokens with the same ten noise
samples in float32. Processor time (all threads) is compared, and every entry of the tables. FLOPs are those of the
matrix products of the linear layers, counted as they run; the machine's peak is that of a large matrix product. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.edit import _peak
from benchmarks.one_forward_per_cell import Straightforward
from obverse.core import Fact
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.locating.tracing import TraceConfig, trace_all
from obverse.model.language_model import LanguageModel

MODELS = ("gemma-3-270m", "smollm2-135m")
FACT = Fact("Space Needle", "The {} is located in the city of", target="Seattle")
KINDS: tuple[TraceKind, ...] = ("hidden", "mlp", "attn")


class Work:
    """Counts the multiply-adds of linear layers, twice each, as a model runs."""

    def __init__(self) -> None:
        self.blocks = 0.0
        self.head = 0.0

    @property
    def flops(self) -> float:
        """All of them."""
        return self.blocks + self.head

    @contextmanager
    def counting(self, lm: LanguageModel) -> Iterator[None]:
        """Count while the context is open."""

        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            flops = 2.0 * module.weight.numel() * (output.numel() // output.shape[-1])
            if module is lm.head:
                self.head += flops
            else:
                self.blocks += flops

        matrices = [m for m in lm.model.modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]
        handles = [module.register_forward_hook(hook) for module in matrices]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def peak_flops(size: int = 2048, repeats: int = 5) -> float:
    """Return the float32 FLOPs of a large matrix product in a second of processor time; the best of a few."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    left @ right
    best = 0.0
    for _ in range(repeats):
        began = time.process_time()
        left @ right
        best = max(best, 2.0 * size**3 / (time.process_time() - began))
    return best


def measure(name: str, samples: int, cells: int | None, repeats: int) -> dict[str, Any]:
    """Trace both ways and return times, work and errors.

    Args:
        name: The model.
        samples: Noise samples.
        cells: Cells of each kind that the straightforward version runs; all if None. Its time is scaled up.
        repeats: How often ours runs; the mean counts.
    """
    lm = LanguageModel.load(name)
    noise = noise_for(lm, "s3")
    config = TraceConfig(kinds=KINDS, samples=samples)
    trace_all(lm, [FACT], TraceConfig(kinds=("hidden",), samples=1), noise=noise)  # both find warm caches
    ours: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        (trace,) = trace_all(lm, [FACT], config, noise=noise)
        ours.append(time.process_time() - began)
    assert isinstance(trace, CausalTrace)
    drawn = noise.draw(samples, len(trace.subject), lm.architecture.hidden, config.seed)
    slow = Straightforward(lm, trace.token_ids, trace.subject, drawn, config.window)
    seconds, worst = 0.0, abs(slow.clean - trace.clean) + abs(slow.corrupted - trace.corrupted)
    for kind in KINDS:
        places = _places(len(trace.tokens), lm.architecture.n_layers, cells)
        began = time.process_time()
        found = [slow.cell(kind, token, layer) for token, layer in places]
        spent = time.process_time() - began
        seconds += spent / len(places) * trace.restored[kind].numel()
        worst = max(worst, *(abs(p - float(trace.restored[kind][at])) for p, at in zip(found, places, strict=True)))
        sys.stderr.write(f"{name}: {kind}: {spent:.1f} CPU-s for {len(places)} cells one by one\n")
    needed, one_cell = Work(), Work()
    with needed.counting(lm):
        trace_all(lm, [FACT], config, noise=noise)
    with one_cell.counting(lm):
        slow.cell("hidden", 1, 1)
    all_cells = sum(table.numel() for table in trace.restored.values())
    mean = sum(ours) / len(ours)
    return {
        "ratio": seconds / mean,
        "cpu_seconds": {"ours": mean, "straightforward": seconds},
        "runs_of_ours": ours,
        "largest_difference": worst,
        "teraflops": {
            "ours": needed.flops / 1e12, "ours_head": needed.head / 1e12,
            "straightforward": one_cell.flops * all_cells / 1e12,
        },
        "ratio_of_flops": one_cell.flops * all_cells / needed.flops,
        "share_of_peak": {
            "ours": needed.flops / mean / peak_flops(),
            "straightforward": one_cell.flops * all_cells / seconds / peak_flops(),
        },
        "tokens": len(trace.tokens), "subject": [trace.subject.start, trace.subject.stop], "samples": samples,
        "straightforward_cells": all_cells if cells is None else cells * len(KINDS), "threads": torch.get_num_threads(),
    }  # fmt: skip


def _places(tokens: int, layers: int, count: int | None) -> list[tuple[int, int]]:
    every = [(token, layer) for token in range(tokens) for layer in range(layers)]
    if count is None or count >= len(every):
        return every
    chosen = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))[:count]
    return [every[i] for i in chosen.tolist()]


def work_table() -> list[dict[str, Any]]:
    """Return the share of the straightforward work in blocks that is done, and the formula's, over lengths and depths.

    The formula: samples x (n² / 2) x (layers² / 2) token-layers for the hidden kind, of n tokens from the subject on.
    """
    rows: list[dict[str, Any]] = []
    for layers in (6, 12, 24):
        lm = random_llama(layers, hidden=64)
        per_token = sum(m.weight.numel() for m in lm.model.model.modules() if isinstance(m, nn.Linear))
        for length in (10, 20, 40, 80):
            fact = Fact("s" * 3, "{}" + "x" * (length - 3), target="y")
            work = Work()
            with work.counting(lm):
                (trace,) = trace_all(lm, [fact], TraceConfig(kinds=("hidden",), samples=4, noise="0.1"), label="")
            assert isinstance(trace, CausalTrace)
            n = len(trace.tokens) - trace.subject.start
            straightforward = 2.0 * per_token * (4 + 1) * len(trace.tokens) * layers * len(trace.tokens)
            predicted = 2.0 * per_token / layers * 4 * (n * n / 2) * (layers * layers / 2)
            rows.append({
                "layers": layers, "tokens": len(trace.tokens), "from_subject": n,
                "measured": work.blocks / straightforward, "predicted": predicted / straightforward,
            })  # fmt: skip
    return rows


def random_llama(layers: int, hidden: int) -> LanguageModel:
    """Return a Llama with random weights whose tokens are single bytes."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    config = transformers.LlamaConfig(
        hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers, vocab_size=256,
        num_attention_heads=hidden // 32, num_key_value_heads=hidden // 32, max_position_embeddings=1024,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = transformers.LlamaForCausalLM(config)
    return LanguageModel(model, transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer), "random-llama")


def memory(name: str, tokens: int, allowed: float) -> dict[str, Any]:
    """Return the peak memory, beyond the loaded model's, of tracing a long prompt; run in a process of its own.

    All states of all tokens are kept; the subject stands near the end, so that the run takes minutes.
    """
    lm = LanguageModel.load(name)
    filler = "Pike Place Market is older than most of the towers around it. "
    end = "The {} is located in the city of"
    words = (filler * tokens).split(" ")
    while len(lm.tokenizer(" ".join([*words, end]))["input_ids"]) > tokens - 1:
        words.pop(0)
    fact = Fact("Space Needle", " ".join([*words, end]), "Seattle")
    trace_all(lm, [Fact("Rome", "{} is", "x")], TraceConfig(samples=1, kinds=("hidden",), noise="0.1"))
    before, began = _peak(), time.perf_counter()
    (trace,) = trace_all(lm, [fact], TraceConfig(memory=allowed))
    assert isinstance(trace, CausalTrace)
    return {
        "model": lm.name, "tokens": len(trace.tokens), "subject": list(trace.subject), "layers": trace.n_layers,
        "allowed_gb": allowed, "peak_gb_beyond_model": (_peak() - before) / 1e9,
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="default: both built-in models")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--cells", type=int, help="cells of each kind run straightforwardly; default all")
    parser.add_argument("--repeats", type=int, default=2, help="how often ours runs")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--work", action="store_true", help="measured against predicted work, and no times")
    parser.add_argument("--memory", action="store_true", help="peak memory of a long prompt, and no times")
    parser.add_argument("--tokens", type=int, default=200, help="length of that prompt")
    parser.add_argument("--allowed", type=float, default=3.0, help="gigabytes allowed there")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of is not None:
        found = memory(options.memory_of, options.tokens, options.allowed)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    if options.work:
        rows = work_table()
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    if options.memory:
        for model in options.model or MODELS[1:]:
            command = [sys.executable, "-m", "benchmarks.trace", "--memory-of", model]
            command += ["--tokens", str(options.tokens), "--allowed", str(options.allowed)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
            sys.stdout.write(done.stdout.splitlines()[-1] + "\n")
        return
    models = options.model or MODELS
    results = {model: measure(model, options.samples, options.cells, options.repeats) for model in models}
    if not options.json:
        for model, result in results.items():
            sys.stdout.write(f"{model}: {json.dumps(result)}\n")
    names = ("cpu_seconds", "largest_difference", "teraflops", "ratio_of_flops", "share_of_peak", "threads")
    last: dict[str, Any] = {"ratio": {model: round(result["ratio"], 2) for model, result in results.items()}}
    last |= {name: {model: result[name] for model, result in results.items()} for name in names}
    sys.stdout.write(json.dumps(last) + "\n")


if __name__ == "__main__":
    main()
