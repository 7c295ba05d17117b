"""Folders of benchmarks made by hand, no model needed; run as a program, it writes some to look at."""

import json
import math
import sys
from pathlib import Path

import numpy as np

LETTERS = ("efficacy", "generalization", "specificity", "reverse")
SETTINGS = {"layers": [3], "steps": 20}
POINTS = (1, 2, 5, 10, 20, 50, 100, 200)


def config(method, schedule="single", digest="d1", **settings):
    unedited = method == "unedited"
    return {
        "benchmark": 1,
        "dataset": {"name": "facts.json", "digest": digest, "first": 0, "last_wins": False, "limit": None},
        "model": {"fingerprint": {"config": "c", "weights": "w"}, "dtype": "float32"},
        "method": method,
        "settings": {} if unedited else {**SETTINGS, **settings},
        "schedule": {"kind": "single"} if unedited else {"kind": schedule, "size": None, "step": 1},
        "measure": {"seed": 0},
    }  # fmt: skip


def write_run(folder, records, label="rome", method="rome", **changes):
    """A run's folder; a record is a line, and half a line at the end is what a kill leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "obverse_run": 1, "config": config(method, **changes), "label": label, "model": {"name": "tiny"},
        "versions": {"obverse": "0.1.0"}, "start": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "records.00000.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def answer(kind, text, expected, rejected, p, rival):
    return {
        "text": text, "expected": expected, "rejected": rejected, "contrast": None, "kind": kind, "probability": p,
        "logprob": math.log(p), "alternative": rival, "rank": 1 if p > 0.5 else 7, "token_accuracy": float(p > 0.5),
        "all_tokens": p > 0.5, "generated": f" {expected if p > 0.5 else 'another thing'}.", "exact": p > 0.5,
    }  # fmt: skip


def record(rng, place, good, keep, drift=0.01, probes=(1, 2, 3, 1), text="Fact {} is", rivals=True):
    """The record of a case whose edit holds with chance ``good`` and leaves neighbours with chance ``keep``."""
    answers = []
    for kind, count in zip(LETTERS, probes, strict=True):
        chance = {"specificity": keep, "reverse": good / 4}.get(kind, good)
        for n in range(count):
            p = float(rng.uniform(0.55, 0.99) if rng.random() < chance else rng.uniform(0.01, 0.45))
            asked = text.format(place) if kind == "efficacy" else f"{kind} {n} of {place}"
            target, true = (f"new {place}", f"old {place}") if rivals else (f"new {place}", None)
            expected, rejected = (true or target, target) if kind == "specificity" else (target, true)
            answers.append(answer(kind, asked, expected, rejected if rivals else None, p, 1 - p if rivals else None))
    values = {}
    for kind in LETTERS:
        own = [one for one in answers if one["kind"] == kind]
        if own and rivals:
            values[f"{kind}_success"] = float(np.mean([one["probability"] > one["alternative"] for one in own]))
            values[f"{kind}_magnitude"] = float(np.mean([one["probability"] - one["alternative"] for one in own]))
        if own:
            values[f"{kind}_token_accuracy"] = float(np.mean([one["token_accuracy"] for one in own]))
            values[f"{kind}_generated"] = float(np.mean([one["exact"] for one in own]))
    values |= {"neighbour_kl": drift * 10, "ngram_entropy": 6.2, "drift_kl": drift, "drift_nll": 3.3 + drift}
    return {
        "id": str(place), "values": values, "answers": answers, "texts": [f"{text.format(place)} a text " * 12],
        "edit": [], "seconds": {"edit": 0.5, "measure": 1.0}, "place": place,
    }  # fmt: skip


def failure(place):
    told = {"type": "EditFailed", "message": f"The subject of {place % 2} is <missing>.", "hint": ""}
    return {"id": str(place), "error": told, "place": place}


def write_single(folder, methods, cases=12, failing=(), seed=0, **kinds):
    """A benchmark of single edits: method → (good, keep, drift)."""
    folder = Path(folder)
    every = {"unedited": (0.1, 0.8, 0.0), **methods}
    for number, (label, (good, keep, drift)) in enumerate(every.items()):
        rng = np.random.default_rng([seed, number])
        records = [record(rng, place, good, keep, drift, **kinds) for place in range(cases)]
        if label in failing:
            records[1::5] = [failure(place) for place in range(1, cases, 5)]
        method, _, at = label.partition(",")
        settings = {key: json.loads(value) for key, _, value in [at.partition("=")] if key}
        write_run(folder / label, records, label, method, **settings)
    return folder


def write_sequential(folder, methods, cases=50, seed=0):
    """A benchmark of sequences: method → (good, loss by fact, drift by fact)."""
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    write_run(folder / "unedited", [record(rng, p, 0.1, 0.8, 0.0) for p in range(cases)], "unedited", "unedited")
    for number, (label, (good, loss, drift)) in enumerate(methods.items()):
        rng = np.random.default_rng([seed, number])
        records = []
        for after in [*(point for point in POINTS if point < cases), cases]:
            for place in range(after):
                kept = good * math.exp(-loss * (after - place))
                one = record(rng, place, kept, 0.8 * math.exp(-loss * after), drift * after)
                records.append({**one, "id": f"{after}:{place}", "case": str(place), "after": after})
        write_run(folder / label, records, label, label, schedule="sequential")
    return folder


def rome_case(id, new=0.5, true=1.0, **post):
    """A case file of ROME's program: its numbers are surprises."""

    def probs(a, b):
        return {"target_new": a, "target_true": b}

    asked = {"prompt": "Fact {} is", "subject": str(id), "target_new": {"str": f"new {id}"},
             "target_true": {"str": f"old {id}"}}  # fmt: skip
    found = {"rewrite_prompts_probs": [probs(new, true)], "paraphrase_prompts_probs": [probs(new, true), probs(2, 2)],
             "neighborhood_prompts_probs": [probs(3, 1)], "ngram_entropy": 6.1, "text": ["A text."]}  # fmt: skip
    before = {**found, "rewrite_prompts_probs": [probs(true, new)]}
    return {"case_id": id, "requested_rewrite": asked, "time": 2.0, "pre": before, "post": {**found, **post}}


def write_rome(folder, *cases):
    folder.mkdir(parents=True, exist_ok=True)
    for one in cases:
        (folder / f"case_{one['case_id']}.json").write_text(json.dumps(one))
    return folder


if __name__ == "__main__":
    out = Path(sys.argv[1])
    names = ["rome", "memit", "ft", "ft-l", "ft-m", "kn", "ke", "mend", "alphaedit", "emmet", "lora", "ultraedit",
             "in-context", "bias", "rome-both"]  # fmt: skip
    spread = {name: (0.98 - 0.8 * (n % 5) / 5, 0.3 + 0.035 * n, 0.02 * n) for n, name in enumerate(names)}
    write_single(out / "many", spread, 300, ("kn", "mend"), probes=(1, 2, 10, 3))
    write_single(out / "few", {name: spread[name] for name in names[:4]}, 40, ("ft",))
    sweep = {f"rome,layers=[{layer}]": (1 - abs(layer - 5) / 8, 0.5 + layer / 20, 0.1) for layer in range(0, 11, 2)}
    write_single(out / "sweep", sweep, 30)
    write_sequential(out / "sequential", {"rome": (0.98, 0.03, 0.02), "alphaedit": (0.97, 0.002, 0.001),
                                          "memit": (0.95, 0.01, 0.006)}, 200)  # fmt: skip
    write_single(out / "thousand", {name: spread[name] for name in names[:3]}, 1000, ("ft",))
