"""ROME's own result folders as runs of a benchmark, so that they stand in the same tables as ours."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from obverse.core import DataError, Kind
from obverse.recipes.bench.methods import UNEDITED
from obverse.recipes.bench.results import Bench, CaseResult, RunResult
from obverse.verifying import case_values, read_rome_run, summarize_rome

_KINDS: dict[str, Kind] = {
    "rewrite": "efficacy", "paraphrase": "generalization", "neighborhood": "specificity"
}  # fmt: skip
_PROTOCOLS = {"success": "success", "diff": "magnitude", "acc": "token_accuracy"}
_OURS = {
    **{f"{theirs}_{protocol}": f"{kind}_{ours}"
       for theirs, kind in _KINDS.items() for protocol, ours in _PROTOCOLS.items()},
    "ngram_entropy": "ngram_entropy", "reference_score": "reference_score", "essence_score": "essence",
}  # fmt: skip
"""Their name without ``pre_`` or ``post_`` → ours; both are unscaled."""


def is_rome_folder(folder: Path) -> bool:
    """Say whether a folder is a run of ROME's program, or holds such."""
    return any(True for pattern in ("*case_*.json", "*/*case_*.json") for _ in folder.glob(pattern))


def rome_bench(folder: Path) -> Bench:
    """Read one run of ROME's program: what it measured before the edits is the unedited run.

    A case without prompts of a kind has no such metric; ROME's program makes the mean NaN.

    Args:
        folder: The folder with ``case_<id>.json``.

    Raises:
        DataError: If it has no case, or one is malformed.
    """
    cases = read_rome_run(folder)
    if not cases:
        raise DataError(f"{folder} has no case that can be read.", "Name a result folder of ROME's program.")
    path = folder / "params.json"
    settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    method = folder.resolve().parent.name if folder.name.startswith("run_") else folder.name
    label = f"{method}/{folder.name}" if method != folder.name else method
    sides = {label: "post", **({UNEDITED: "pre"} if all(case.get("pre") for case in cases) else {})}
    runs = {
        name: RunResult(
            name,
            UNEDITED if when == "pre" else method,
            folder,
            _config(UNEDITED if when == "pre" else method, {} if when == "pre" else settings),
            tuple(_result(case, when, place) for place, case in enumerate(cases)),
        )
        for name, when in sorted(sides.items(), key=lambda side: side[1], reverse=True)
    }
    return Bench(folder, dict(sorted(runs.items(), key=lambda run: run[0] != UNEDITED)))


def rome_printed(folder: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Return ``pre`` and ``post`` → our name of a metric → mean and deviation as ROME's program prints them."""
    found = summarize_rome(read_rome_run(folder)).metrics
    out: dict[str, dict[str, tuple[float, float]]] = {"pre": {}, "post": {}}
    for name, spread in found.items():
        when, _, rest = name.partition("_")
        ours = _score_name(found) if rest == "score" else _OURS.get(rest)
        if when in out and ours is not None:
            out[when][ours] = (spread.mean, spread.std)
    return out


def rome_details(folder: Path, ids: Collection[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, what was asked and answered) of the cases of a run, as `obverse.recipes.bench.cases` wants it."""
    for case in read_rome_run(folder):
        if ids is None or str(case["case_id"]) in ids:
            yield str(case["case_id"]), case


def rome_answers(case: Mapping[str, Any], when: str) -> list[dict[str, Any]]:
    """Return the answers of a case, with the fields of ours that are known; prompts other than the edited are not."""
    asked = case.get("requested_rewrite") or {}
    target, true = (str((asked.get(key) or {}).get("str", "")).strip() for key in ("target_new", "target_true"))
    out: list[dict[str, Any]] = []
    for key, entries in (case.get(when) or {}).items():
        kind = _KINDS.get(key.split("_")[0])
        if kind is None or not isinstance(entries, list):
            continue
        expected, rejected = (true, target) if kind == "specificity" else (target, true)
        for number, entry in enumerate(entries, start=1):
            text = rome_prompt(case) if kind == "efficacy" else f"{kind}, prompt {number}"
            told: dict[str, Any] = {"kind": kind, "text": text, "expected": expected, "rejected": rejected}
            if key.endswith("_probs"):
                new, old = (math.exp(-entry[name]) for name in ("target_new", "target_true"))
                told["probability"], told["alternative"] = (old, new) if kind == "specificity" else (new, old)
            elif key.endswith("_correct"):
                told |= {"text": f"{kind}, token {number}", "rejected": None, "token_accuracy": float(entry)}
            out.append(told)
    return out


def rome_prompt(case: Mapping[str, Any]) -> str:
    """Return the edited prompt of a case."""
    asked = case.get("requested_rewrite") or {}
    return str(asked.get("prompt", "")).replace("{}", str(asked.get("subject", "{}")))


def _score_name(found: Mapping[str, Any]) -> str:
    return "score" if "post_rewrite_success" in found else "accuracy_score"


def _config(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": method, "settings": dict(settings), "schedule": {"kind": "single"}, "program": "ROME"}


def _result(case: Mapping[str, Any], when: str, place: int) -> CaseResult:
    found = {name: values[0] for name, values in case_values([case]).items()}
    values = {
        _OURS[name.removeprefix(f"{when}_")]: value
        for name, value in found.items()
        if name.startswith(f"{when}_") and name.removeprefix(f"{when}_") in _OURS and not math.isnan(value)
    }
    seconds = found.get("time") if when == "post" else None
    return CaseResult(str(case["case_id"]), values, seconds=seconds, place=place)


def rome_texts(case: Mapping[str, Any], when: str) -> Sequence[str]:
    """Return the texts that were sampled."""
    return [str(text) for text in (case.get(when) or {}).get("text") or ()]
