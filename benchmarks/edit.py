"""What an edit costs: our ROME against a straightforward version of the published algorithm, in one run.

    python -m benchmarks.edit --json

Both compute v* for the same facts, contexts and settings. The straightforward version runs the whole model on every
row and reads the full logits at every step, as the original code does; it is written here from the paper's formulas.
Processor time (all threads) is compared, and the results: v* to 1e-3, the same verdicts. The last line is one JSON
object: {"ratio": {...}, "cpu_seconds_per_edit": {...}, "peak_memory_bytes": {...}}.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.facts import FACTS
from obverse.core import Fact
from obverse.editing._rows import ESSENCE, look
from obverse.editing.contexts import ContextConfig, contexts
from obverse.editing.rome import Rome, RomeConfig
from obverse.editing.values import ValueConfig, optimize
from obverse.model.language_model import LanguageModel

MODELS = ("gemma-3-270m", "smollm2-135m")
PUBLISHED_SHARE = 0.33
"""Depth at which ROME's released settings edit GPT-2 M, L and XL."""


def straightforward_value(
    lm: LanguageModel, layer: int, fact: Fact, templates: Sequence[str], config: ValueConfig
) -> Tensor:
    """Return v* by full forward passes with full logits, one fact at a time (ROME, eq. 4)."""
    tokenizer, model = lm.tokenizer, lm.model
    target = tokenizer(" " + fact.target, add_special_tokens=False)["input_ids"]
    texts = [t.replace("{}", fact.text) + tokenizer.decode(target[:-1]) for t in templates]
    texts.append(ESSENCE.replace("{}", fact.subject))
    encoded = tokenizer(texts, return_offsets_mapping=True)
    rows, lookups = encoded["input_ids"], []
    for text, offsets in zip(texts, encoded["offset_mapping"], strict=True):
        end = text.rindex(fact.subject) + len(fact.subject)
        lookups.append(max(i for i, (s, e) in enumerate(offsets) if s < end and e > s))
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    row_index, lookup = torch.arange(len(rows)), torch.tensor(lookups)
    delta = torch.zeros(lm.architecture.hidden, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=config.learning_rate)
    seen: dict[str, Any] = {}

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        seen.setdefault("v0", output[0, lookups[0]].detach().clone())
        output = output.clone()
        output[row_index, lookup] += delta
        return output

    handle = model.get_submodule(lm.architecture.mlp_out(layer)).register_forward_hook(add)
    for step in range(config.steps):
        adam.zero_grad()
        logprobs = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
        essence = logprobs[-1, lookups[-1]]
        initial = seen.setdefault("initial", essence.detach().clone())
        nll = torch.stack([
            -torch.stack([logprobs[i, len(rows[i]) - len(target) + j, token] for j, token in enumerate(target)]).mean()
            for i in range(len(rows) - 1)
        ]).mean()  # fmt: skip
        kl = config.kl_factor * (essence.exp() * (essence - initial)).sum()
        loss = nll + kl + config.weight_decay * delta.norm() / seen["v0"].norm() ** 2
        if loss < config.stop_loss or step == config.steps - 1:
            break
        loss.backward()
        adam.step()
        with torch.no_grad():
            limit = config.clamp * seen["v0"].norm()
            if delta.norm() > limit:
                delta.mul_(limit / delta.norm())
    handle.remove()
    return seen["v0"] + delta.detach()


def target_probability(lm: LanguageModel, fact: Fact, value: Tensor, layer: int) -> bool:
    """Return whether the new answer is the likelier one when the value stands at the subject's last token."""
    from obverse.measuring.likelihood import likelihoods
    from obverse.model.hooks import intervene
    from obverse.model.tokens import encode

    place = encode(lm.tokenizer, fact.text).tokens_of(*fact.span)[-1]

    def put(_: Tensor, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, place] = value
        return output

    with intervene(lm.model, {lm.architecture.mlp_out(layer): put}):
        new, old = likelihoods(lm, [(fact.text, fact.target), (fact.text, fact.target_true or "")])
    return new.mean > old.mean


def measure(model: str, limit: int) -> dict[str, Any]:
    """Run both versions in turn, fact by fact, and return times, errors and verdicts."""
    lm = LanguageModel.load(model)
    config = RomeConfig(weight_decay=0.5, clamp=4.0)  # ROME's released settings: every fact takes all its steps
    layer = round(PUBLISHED_SHARE * (lm.architecture.n_layers - 1))
    templates = contexts(lm, ContextConfig(lengths=((5, 10), (10, 10))))
    times: dict[str, list[float]] = {"ours": [], "straightforward": []}
    worst, same = 0.0, 0
    for fact in FACTS[:limit]:
        began = time.process_time()
        ours = optimize(lm, layer, look(lm, layer, [fact], templates), config)[0].target
        middle = time.process_time()
        plain = straightforward_value(lm, layer, fact, templates, config)
        end = time.process_time()
        times["ours"].append(middle - began)
        times["straightforward"].append(end - middle)
        worst = max(worst, float((ours - plain).norm() / plain.norm()))
        same += target_probability(lm, fact, ours, layer) == target_probability(lm, fact, plain, layer)
        gc.collect()
        sys.stderr.write(f"{model}: {fact.subject}: {middle - began:.1f} s against {end - middle:.1f} s\n")
    n = len(times["ours"])
    return {
        "ratio": sum(times["straightforward"]) / sum(times["ours"]),
        "cpu_seconds_per_edit": {name: sum(values) / n for name, values in times.items()},
        "largest_relative_error_of_v": worst, "same_verdicts": same, "facts": n, "contexts": len(templates),
        "layer": layer,
    }  # fmt: skip


def peak_memory(model: str) -> dict[str, float]:
    """Return the peak memory of loading a model and editing one fact, in a process of its own."""
    lm = LanguageModel.load(model)
    size = sum(p.numel() for p in lm.model.parameters()) * 4
    Rome(RomeConfig()).edit(lm, FACTS[:1])
    peak = _peak()
    return {"peak_memory_bytes": peak, "model_float32_bytes": size, "share": peak / size}


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of a child starts at its parent's on Linux
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="default: both built-in models")
    parser.add_argument("--limit", type=int, default=20, help="facts to edit, at most 20")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        sys.stdout.write(json.dumps(peak_memory(options.memory_of)) + "\n")
        return
    models = options.model or MODELS
    results = {model: measure(model, options.limit) for model in models}
    memory: dict[str, dict[str, float]] = {}
    for model in models:
        command = [sys.executable, "-m", "benchmarks.edit", "--memory-of", model]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        memory[model] = json.loads(done.stdout.splitlines()[-1])
    if not options.json:
        for model, result in results.items():
            sys.stdout.write(f"{model}: {json.dumps(result)}; {json.dumps(memory[model])}\n")
    last = {
        "ratio": {model: round(result["ratio"], 2) for model, result in results.items()},
        "cpu_seconds_per_edit": {model: result["cpu_seconds_per_edit"] for model, result in results.items()},
        "peak_memory_bytes": {model: found["peak_memory_bytes"] for model, found in memory.items()},
        "peak_memory_over_model_float32": {model: round(found["share"], 2) for model, found in memory.items()},
        "largest_relative_error_of_v": {m: r["largest_relative_error_of_v"] for m, r in results.items()},
        "same_verdicts": {model: f"{r['same_verdicts']}/{r['facts']}" for model, r in results.items()},
    }
    sys.stdout.write(json.dumps(last) + "\n")


if __name__ == "__main__":
    main()
