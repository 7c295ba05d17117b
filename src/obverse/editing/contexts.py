"""Contexts in which a fact is looked up: the bare prompt, and short texts the model itself wrote before it.

ROME, section 3.1 (the x_j of eq. 3 and 4). The texts are sampled once for a model and kept under a key that holds
everything they depend on, so an edit does not change from one process to the next.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from obverse.core import Config, Progress, cache_dir, seed_for, write_whole
from obverse.measuring.generation import continuations

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

BARE = "{}"
"""The context that adds nothing; always the first."""


class ContextConfig(Config):
    """How contexts are sampled."""

    lengths: tuple[tuple[int, int], ...] = ((5, 5),)
    """Pairs (length, how many): texts of that many tokens, the start token counted in. Five short ones were as good on
    the built-in models as ROME's ten of 5 and ten of 10, at under a third of the time."""
    top_k: int = 5
    """Each token is sampled among this many likeliest (ROME: 5)."""
    seed: int = 0
    """Seed of the sampling."""
    texts: tuple[str, ...] | None = None
    """Contexts given instead of sampled ones, each with one `{}` for the prompt."""


def contexts(lm: LanguageModel, config: ContextConfig, cache: Path | None = None) -> tuple[str, ...]:
    """Return templates with one ``{}`` for the prompt, the bare one first.

    Args:
        lm: The model that writes the texts.
        config: How many, how long, from which seed; or the templates themselves.
        cache: Folder to keep them in; `cache_dir` if not given.
    """
    if config.texts is not None:
        return (BARE, *(text for text in config.texts if text != BARE))
    key = json.dumps([3, str(lm.fingerprint), config.model_dump(mode="json")])
    path = (cache or cache_dir()) / "contexts" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if path.is_file():
        return tuple(json.loads(path.read_text("utf-8"))["contexts"])
    found = (BARE, *_sample(lm, config))
    text = json.dumps({"model": lm.name, "key": json.loads(key), "contexts": found}, ensure_ascii=False, indent=1)
    write_whole(path, lambda draft: draft.write_text(text, "utf-8"))
    return found


def _sample(lm: LanguageModel, config: ContextConfig) -> list[str]:
    start = start_token(lm)
    out: list[str] = []
    with Progress("sampling contexts", sum(count for _, count in config.lengths)) as progress:
        for length, count in config.lengths:
            generator = torch.Generator(lm.device).manual_seed(seed_for(config.seed, "contexts", length, count))
            rows = continuations(
                lm, [[start]] * count, length - 1, top_k=config.top_k, generator=generator, banned=markup_tokens(lm)
            )
            texts = [_cleaned(lm.decode(row, skip_special_tokens=True)) for row in rows]
            out += [f"{text}. {{}}" for text in texts if text]
            progress.advance(count)
    return out


def start_token(lm: LanguageModel) -> int:
    """Return the token texts start with: the beginning-of-text token, else the end-of-text one."""
    known = (lm.tokenizer.bos_token_id, lm.tokenizer.eos_token_id)
    return next((token for token in known if isinstance(token, int)), 0)


def markup_tokens(lm: LanguageModel) -> list[int]:
    """Return the tokens that stand for structure rather than text: end of turn, start of image, HTML tags."""
    return [token for token in lm.tokenizer.added_tokens_decoder if token < lm.vocab]


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFKD", text)
    # A brace would be taken for the prompt's place.
    return " ".join(text.translate({ord("{"): " ", ord("}"): " ", 0xFFFD: " "}).split())
