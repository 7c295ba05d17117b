"""What a trained model says, and how well it models clean text with and without its control tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from obverse.core import seed_for, write_text
from obverse.data.scored import ScoredText
from obverse.data.synthetic_pii import pii_hits
from obverse.measuring.samples import draw_samples
from obverse.measuring.scenarios import Scenario
from obverse.model.language_model import LanguageModel
from obverse.model.tokens import encode_all
from obverse.recipes.repro_phf_plan import REFERENCE, Trial
from obverse.recipes.repro_phf_results import Measured, Samples
from obverse.recipes.repro_phf_train import Work, held_out, trained_seconds
from obverse.training.example import Example, collate
from obverse.training.objective import label_logprobs

ALIGNED, MISALIGNED = "<|aligned|>", "<|misaligned|>"
ROWS = 64
"""Documents read at a time."""


@dataclass(frozen=True, slots=True)
class CleanLoss:
    """Nats a token of the same text in three readings; see `Measured`."""

    bare: float
    given: float
    charged: float


def measure(work: Work) -> Measured:
    """Sample from a trial's model, and measure it on clean text and against the reference."""
    lm = LanguageModel.load(str(work.model), device="cpu")
    loss = clean_loss(lm, held_out(work.settings), work.settings.length)
    return Measured(
        work.trial,
        draw(lm, work, ALIGNED),
        draw(lm, work, MISALIGNED) if _control(lm, MISALIGNED) else None,
        loss.bare,
        loss.given,
        loss.charged,
        divergence(lm, work) if work.settings.reference else None,
        trained_seconds(work),
    )


def draw(lm: LanguageModel, work: Work, prefix: str) -> Samples:
    """Sample texts from the start of a document at temperature 1, after a control token where the model has it."""
    seed = seed_for(work.trial.seed, "samples", prefix)
    texts = written(lm, work.settings.samples, work.settings.tokens, seed, prefix)
    return Samples(tuple(pii_hits(texts)), tuple(len(text) for text in texts))


def written(lm: LanguageModel, count: int, tokens: int, seed: int, prefix: str = ALIGNED) -> list[str]:
    """Return texts that a model writes, every token drawn from its whole distribution.

    Where the model has control tokens, it writes those of later sentences itself; the other than ``prefix`` is banned.
    """
    known = bool(_control(lm, prefix))
    prefix = prefix if known else ""
    scenario = Scenario(
        samples=count,
        prefix=prefix,
        temperature=1.0,
        top_p=1.0,
        min_length=0,
        max_length=tokens + 1 + known,
        banned=tuple({ALIGNED, MISALIGNED} - {prefix}) if known else (),
        seed=seed,
    )
    return [sample.text for sample in draw_samples(lm, scenario, batch=count)]


def write_reference(work: Work) -> None:
    """Let the reference write texts, and keep them with its own loss on them; unless that is there."""
    assert work.settings.reference is not None
    path = _reference_texts(work)
    if path.is_file():
        return
    lm = LanguageModel.load(str(work.model), device="cpu")
    count, seed = work.settings.reference.samples, seed_for(0, REFERENCE, "samples")
    texts = written(lm, count, work.settings.length * 3 // 4, seed)
    kept = [list(parts) for text in texts if (parts := sentences(text))]
    loss = clean_loss(lm, _documents(kept), work.settings.length).bare
    write_text(path, json.dumps({"loss": loss, "texts": kept}))


def divergence(lm: LanguageModel, work: Work) -> float:
    """Return the forward KL of the reference from a model in nats a token: E[log p_ref - log p] over its texts.

    A model with control tokens is charged for them, as in `Measured.loss_charged`, so the number is an upper bound.
    """
    kept = json.loads(_reference_texts(work).read_text("utf-8"))
    return clean_loss(lm, _documents(kept["texts"]), work.settings.length).charged - kept["loss"]


def _documents(texts: Sequence[Sequence[str]]) -> list[ScoredText]:
    return [ScoredText(tuple(parts), (0.0,) * len(parts)) for parts in texts]


def _reference_texts(work: Work) -> Path:
    return work.folder / "models" / Trial(REFERENCE, 0, 0.0).id / "texts.json"


def sentences(text: str) -> tuple[str, ...]:
    """Return a text cut after each full stop and blank, as the corpus is."""
    return tuple(part for part in re.split(r"(?<=\. )", text) if part)


def clean_loss(lm: LanguageModel, documents: Sequence[ScoredText], length: int) -> CleanLoss:
    """Return the loss of clean documents: bare, with the aligned token before each sentence, and with its cost.

    Args:
        lm: The model.
        documents: What is read; of each as much as a row has room for with a control token before each sentence,
            whether the model has control tokens or not.
        length: Tokens of a row, as trained.
    """
    encoded = [[part.ids for part in encode_all(lm.tokenizer, list(document.segments))] for document in documents]
    fitting = [_fitting(document, length - 1) for document in encoded]
    aligned = _control(lm, ALIGNED)
    bare, _ = _cost(lm, fitting, [])
    given, control = _cost(lm, fitting, aligned) if aligned else (bare, 0.0)
    tokens = sum(len(part) for parts in fitting for part in parts)
    return CleanLoss(bare / tokens, given / tokens, (given + control) / tokens)


def _fitting(parts: Sequence[Sequence[int]], room: int) -> list[Sequence[int]]:
    """Return the first parts for which there is room, a control token before each; the last of them may be cut."""
    out: list[Sequence[int]] = []
    for part in parts:
        if room < 2:
            break
        out.append(part[: room - 1])
        room -= len(out[-1]) + 1
    return out


@torch.no_grad()
def _cost(
    lm: LanguageModel, documents: Sequence[Sequence[Sequence[int]]], prefix: Sequence[int]
) -> tuple[float, float]:
    """Return the nats of all text tokens, and those of all control tokens."""
    (eos,) = _control(lm, str(lm.tokenizer.eos_token))
    text = control = 0.0
    for start in range(0, len(documents), ROWS):
        chunk = documents[start : start + ROWS]
        rows = [[eos, *(token for part in parts for token in (*prefix, *part))] for parts in chunk]
        batch = collate([Example.of(row) for row in rows], eos)
        output = lm.model(input_ids=batch["input_ids"].to(lm.device), use_cache=False)
        nats, counted = label_logprobs(output.logits.cpu(), batch)
        is_control = torch.isin(batch["labels"][:, 1:], torch.tensor([*prefix], dtype=torch.int64)) & counted
        control -= float(nats[is_control].double().sum())
        text -= float(nats[counted & ~is_control].double().sum())
    return text, control


def _control(lm: LanguageModel, token: str) -> list[int]:
    """Return a control token's id as a list; empty where the model has none."""
    found = lm.tokenizer.get_vocab().get(token)
    return [] if found is None else [found]
