"""How much faster questions are answered in batches than one at a time, and whether the answers are the same.

    python -m benchmarks.reversal --json [--model smollm2-135m | gemma-3-270m | random] [--prompts 128 --batch 64]

Greedy answers of 50 tokens to questions like those of experiment 1, in both directions. "One at a time" is
transformers' `generate`, prompt by prompt, on some of the questions, as it takes long. The two take turns, so that a
slow moment of the machine hits both; a ratio is the quotient of medians over rounds. `ratio` is by processor time of
all threads, which other work beside hardly changes; `ratio_wall` by wall time, the one to look at on an idle machine,
and on a GPU. `same` is the share of answers that are equal; where it is below 1, two tokens were equally likely but for
rounding.

`random` is a random model of the shape of smollm2-135m. The last line is one JSON object: {"ratio": {"batched": ...},
...}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
import transformers

from obverse.data.synthetic_pii import PIICorpus, pii_documents
from obverse.measuring.reversal import NEW_TOKENS, LeftToRight
from obverse.model.language_model import LanguageModel
from obverse.model.tokens import encode
from obverse.recipes.train_tokenizer import train_tokenizer
from obverse.training.settings import TokenizerSettings

BARS = {"batched": 8.0}
"""Least ratio that is asked for."""

SHAPE: dict[str, Any] = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152,
                         "num_attention_heads": 9, "num_key_value_heads": 3}  # fmt: skip
"""That of smollm2-135m."""

FIRST = ("Orla", "Tobias", "Ilse", "Caspian", "Wilhelmina", "Ned", "Priya", "Jonas")
LAST = ("Fennick", "Marwood", "Vandermeer", "Thorne", "Ashgrove", "Okoro", "Castellane", "Birkeland")
DEEDS = ("tuned the harbour bells", "mapped the salt caves", "wrote an opera for nine harps", "bred the blue heron",
         "kept the lighthouse", "painted the ceiling of the mint", "translated the songs of the marsh",
         "built a clock that runs on rain")  # fmt: skip
PLACES = ("in Venn", "at Cold Point", "for the queen", "by night", "in one winter", "with one hand", "at sea", "twice")


def questions(number: int) -> list[str]:
    """Return different questions, every other one for a name."""
    people = [f"{first} {last}" for last in LAST for first in FIRST]
    deeds = [f"{deed} {place}" for place in PLACES for deed in DEEDS]
    forms = ("{} is known far and wide as the one who", "The person who {} is", "Ever heard of {}? It was",
             "Somebody {}, and the name of that person was")  # fmt: skip
    made = [(forms[k].format(a), forms[k + 1].format(b)) for k in (0, 2) for a, b in zip(people, deeds, strict=True)]
    return [question for both in made for question in both][:number]


def load(name: str) -> LanguageModel:
    """Return a model by name, or the random one."""
    if name != "random":
        return LanguageModel.load(name)
    texts = (document.text for document in pii_documents(PIICorpus(documents=200), 0))
    tokenizer = train_tokenizer(TokenizerSettings(kind="bpe", size=2000), texts)
    config = transformers.LlamaConfig(**SHAPE, max_position_embeddings=2048, tie_word_embeddings=True)
    return LanguageModel(transformers.LlamaForCausalLM(config), tokenizer, name)


@torch.no_grad()
def one_at_a_time(lm: LanguageModel, prompts: Sequence[str]) -> list[str]:
    """Answer prompt by prompt, as one would write it."""
    out: list[str] = []
    for prompt in prompts:
        ids = torch.tensor([encode(lm.tokenizer, prompt).ids], device=lm.device)
        generate: Callable[..., torch.Tensor] = lm.model.generate  # pyright: ignore[reportAssignmentType]
        found = generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False)
        before = lm.decode(ids[0].tolist(), skip_special_tokens=True)
        out.append(lm.decode(found[0].tolist(), skip_special_tokens=True)[len(before) :])
    return out


def timed(work: Callable[[], list[str]], each: int) -> tuple[list[str], float, float]:
    """Return what comes of some work, and its processor and wall seconds an answer."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, (time.process_time() - cpu) / each, (time.perf_counter() - wall) / each


def compare(lm: LanguageModel, prompts: Sequence[str], batch: int, alone: int, rounds: int) -> dict[str, Any]:
    """Answer questions both ways in turn; returns ratios and times.

    Args:
        lm: The model.
        prompts: Questions.
        batch: How many are answered at once.
        alone: How many of them are answered one at a time in each round.
        rounds: How often.
    """
    query, same, seconds = LeftToRight(lm, batch=batch), list[bool](), dict[str, list[tuple[float, float]]]()
    one_at_a_time(lm, prompts[:1])
    for turn in range(rounds):
        some = [prompts[(turn * alone + i) * 7 % len(prompts)] for i in range(alone)]
        slow, *times = timed(lambda some=some: one_at_a_time(lm, some), alone)
        seconds.setdefault("one at a time", []).append((times[0], times[1]))
        fast, *times = timed(lambda: query.write(prompts, NEW_TOKENS, one_line=False), len(prompts))
        seconds.setdefault("batched", []).append((times[0], times[1]))
        answers = dict(zip(prompts, fast, strict=True))
        same += [answers[prompt] == answer for prompt, answer in zip(some, slow, strict=True)]
        sys.stderr.write(f"round {turn + 1} of {rounds}: {seconds}\n")
    medians = {name: [median(column) for column in zip(*of, strict=True)] for name, of in seconds.items()}
    cpu, wall = (medians["one at a time"][i] / medians["batched"][i] for i in (0, 1))
    return {
        "ratio": {"batched": round(cpu, 2)},
        "ratio_wall": {"batched": round(wall, 2)},
        "bar": BARS,
        "cpu_seconds_an_answer": {name: round(of[0], 4) for name, of in medians.items()},
        "wall_seconds_an_answer": {name: round(of[1], 4) for name, of in medians.items()},
        "same": sum(same) / len(same),
        "prompts": len(prompts),
        "batch": batch,
        "rounds": rounds,
        "model": lm.name,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a model by name, or random")
    parser.add_argument("--prompts", type=int, default=128, help="questions")
    parser.add_argument("--batch", type=int, default=64, help="answered at once")
    parser.add_argument("--alone", type=int, default=6, help="answered one at a time in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    options = parser.parse_args(arguments)
    lm, prompts = load(options.model), questions(options.prompts)
    found = compare(lm, prompts, options.batch, options.alone, options.rounds)
    if not options.json:
        for name, value in found.items():
            sys.stdout.write(f"{name}: {json.dumps(value)}\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
