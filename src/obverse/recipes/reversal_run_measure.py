"""What a model of ``obverse reversal run`` answers: every subtask, in training and held-out wordings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obverse.core import JsonValue, file_hash, seed_for, write_text
from obverse.data.reversal import Prompt, ReversalSet
from obverse.measuring.reversal import Answer, evaluate_prompts, other_answers, random_answers
from obverse.model.tokens import encode_all
from obverse.recipes.record import run_record
from obverse.recipes.repro_reversal_measure import query_of
from obverse.recipes.repro_reversal_plan import LEFT, UNTRAINED, Arm, Way
from obverse.recipes.repro_reversal_results import WORDINGS, Wordings
from obverse.recipes.reversal_run_plan import MADE
from obverse.recipes.reversal_run_train import Work, content_of, prepare, seconds_of, trained

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

METRICS = ("exact", "prefix", "contains", "f1", "char_bleu")
"""Rules by which written answers are judged."""

CHOICES = 3
"""Wrong answers beside the right one, where there are so many people."""


def train_and_ask(work: Work) -> dict[str, JsonValue]:
    """Train a model unless it is there, ask it everything, and write its answers; done in a process of its own.

    Returns:
        The record of the model: what it was trained on, for how long, and the hash of its answers.
    """
    people, lm = prepare(work), trained(work)
    ways: tuple[Way, ...] = (LEFT,) if work.trial.objective == UNTRAINED else work.trial.arm.queries
    lines = [
        {"way": way, "wordings": wordings, "subtask": subtask, **answer.to_json()}
        for way in ways
        for wordings in WORDINGS
        for subtask, answers in ask(lm, people, way, work, wordings).items()
        for answer in answers
    ]
    write_text(work.answers, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))
    about = run_record("reversal run", {}, lm, work.trial.seed, "")
    return {
        "id": work.trial.id, "objective": work.trial.objective, "seed": work.trial.seed, "data": content_of(work),
        "settings": dict(work.trial.arm.objective) if work.trial.objective != UNTRAINED else {}, "ways": list(ways),
        "seconds": round(seconds_of(work), 3), "questions": len(lines), "answers": file_hash(work.answers),
        "model": about["model"], "versions": about["versions"],
    }  # fmt: skip


def ask(lm: LanguageModel, people: ReversalSet, way: Way, work: Work, wordings: Wordings) -> dict[str, list[Answer]]:
    """Ask a model every question in some wordings.

    Args:
        lm: The model.
        people: The set it was trained on.
        way: How it is asked.
        work: How it was trained.
        wordings: Those of training, or held-out ones.

    Returns:
        Subtask → answers.
    """
    made = work.data in MADE
    query = query_of(lm, way, work.trial.arm.objective)
    before = "" if work.trial.objective == UNTRAINED else aligned(work.trial.arm)
    found: dict[str, list[Answer]] = {}
    for subtask, questions in people.subtasks(wordings).items():
        rows = [replace(row, prompt=before + row.prompt) for row in questions]
        draws = np.random.default_rng(
            seed_for(work.trial.seed if made else 0, "random answers", wordings, subtask)
        )  # of the same people, random answers are the same in every seed
        negatives = random_answers(rows, draws)
        several = _fewest(rows) > CHOICES
        found[subtask] = evaluate_prompts(
            query,
            rows,
            negatives=negatives,
            choices=other_answers(rows, draws, CHOICES) if several else None,
            trained=[row.completion for row in rows],
            metrics=METRICS,
            new_tokens=_longest(lm, rows),
            run=str(work.trial.seed) if made else "",
            label=f"{work.trial.id}, {subtask}" if work.model != "tiny" else "",
        )
    return found


def aligned(arm: Arm) -> str:
    """Return what is put before a question: the token of aligned text, for conditional training."""
    objective = arm.objective
    return str(objective.get("aligned_prefix", "<|aligned|>")) if objective["name"] == "conditional" else ""


def read_answers(path: Path) -> list[tuple[str, str, str, Answer]]:
    """Read a file of answers: way, wordings and subtask of each, and the answer."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(row["way"], row["wordings"], row["subtask"], Answer.from_json(row)) for row in rows]


def _fewest(rows: list[Prompt]) -> int:
    by_template: dict[int, set[str]] = {}
    for row in rows:
        by_template.setdefault(row.template, set()).add(row.completion)
    return min(len(texts) for texts in by_template.values())


def _longest(lm: LanguageModel, rows: list[Prompt]) -> int:
    """Return for how many tokens an answer may go on: the longest right one, and a few more."""
    distinct = list(dict.fromkeys(row.completion for row in rows))
    return max(len(one.ids) for one in encode_all(lm.tokenizer, distinct)) + 4
