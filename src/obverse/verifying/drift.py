"""What else moved: how differently an edited model reads text that has nothing to do with the edit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from obverse.core import Progress
from obverse.editing.edit import Edit
from obverse.model.tokens import encode

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Drift:
    """How far an edit moved the model on neutral text.

    Attributes:
        perplexity_before: Of the text under the unedited model.
        perplexity_after: Of the text under the edited model.
        kl: Mean over tokens of KL(before || after) of the next-token distribution, in nats.
        tokens: Number of predicted tokens.
        weight_change: Module name → |change| / |weight| (Frobenius).
    """

    perplexity_before: float
    perplexity_after: float
    kl: float
    tokens: int
    weight_change: dict[str, float]


def neutral_texts() -> list[str]:
    """Return the neutral paragraphs that come with the package."""
    text = (files("obverse") / "data" / "samples" / "neutral.txt").read_text("utf-8")
    return [block.strip() for block in text.split("\n\n") if block.strip()]


@torch.no_grad()
def drift(lm: LanguageModel, edit: Edit, texts: Sequence[str] | None = None, label: str = "") -> Drift:
    """Measure how an edit changes the reading of neutral text.

    Args:
        lm: The unedited model.
        edit: The edit.
        texts: Texts that have nothing to do with it; by default those that come with the package.
        label: Name of the progress bar; empty for none.
    """
    texts = texts if texts is not None else neutral_texts()
    before = after = kl = 0.0
    count = 0
    with Progress(label, len(texts)) if label else Progress("", 0) as progress:
        for text in texts:  # one at a time: two vocabularies' worth of logits a token is much
            ids = _ids(lm, text)
            old = _logprobs(lm, ids)
            with edit.applied(lm):
                new = _logprobs(lm, _ids(lm, text))[-len(old) :]  # an edit by prompt reads tokens before the text
            target = ids[0, 1:, None]
            before -= float(old.gather(-1, target).sum())
            after -= float(new.gather(-1, target).sum())
            kl += float((old.exp() * (old - new)).sum())
            count += len(target)
            progress.advance()
    change = {name: delta.norm() / float(lm.weight_of(name).float().norm()) for name, delta in edit.deltas.items()}
    return Drift(math.exp(before / count), math.exp(after / count), kl / count, count, change)


def _ids(lm: LanguageModel, text: str) -> Tensor:
    return torch.tensor([encode(lm.tokenizer, text).ids], device=lm.device)


def _logprobs(lm: LanguageModel, ids: Tensor) -> Tensor:
    return lm.model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
