"""The second moment of an MLP's keys, C = E[k kᵀ] over tokens of plain text (ROME, section 3.1 and appendix E.3).

Counted in a stream: products in float32, sums in float64. Kept under a key that holds everything it depends on; a
count that is stopped goes on where it was. C is solved with, never inverted.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from obverse.core import Config, ConfigError, Progress, cache_dir, write_whole
from obverse.data.corpus import Corpus, corpus
from obverse.editing._samples import model_texts
from obverse.model.hooks import Site, capture
from obverse.model.tokens import encode, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

SAVE_EVERY = 15.0
"""Seconds between two saves of a count under way."""


class MomentConfig(Config):
    """Which keys are counted."""

    corpus: str = "mixed"
    """Text: `docstrings` (of Python's standard library), `facts` (sentences from the facts that come with the package),
    `mixed` (both), `model` (sampled from the model itself), `wikipedia` (needs network), or a text file or folder. The
    default was the best of those found offline: see docs/moments.md."""
    tokens: int = 20_000
    """How many keys are counted."""
    length: int = 128
    """Each text is cut after this many tokens."""
    ridge: float = 1e-3
    """Added to the diagonal of C, as a multiple of the diagonal's mean, so that few keys can be solved with."""
    seed: int = 0
    """Seed of the order of texts, or of their sampling."""


@dataclass(frozen=True)
class SecondMoment:
    """Second moment of the keys of one layer.

    Attributes:
        matrix: Mean of k kᵀ, float64.
        count: Number of keys.
        ridge: Multiple of the mean diagonal that is added before solving.
    """

    matrix: Float[Tensor, "inner inner"]
    count: int
    ridge: float

    @cached_property
    def _factor(self) -> Float[Tensor, "inner inner"]:
        matrix = self.matrix.clone()
        matrix.diagonal().add_(self.ridge * matrix.diagonal().mean())
        return torch.linalg.cholesky(matrix)

    def solve(self, keys: Float[Tensor, " inner"]) -> Float[Tensor, " inner"]:
        """Return C⁻¹ k, in the key's own type and place."""
        return torch.cholesky_solve(keys.to(self.matrix)[:, None], self._factor)[:, 0].to(keys)


def second_moment(
    lm: LanguageModel, layers: Sequence[int], config: MomentConfig, cache: Path | None = None
) -> dict[int, SecondMoment]:
    """Return the second moments of some layers, counted in one pass over the text where they are not kept yet.

    Args:
        lm: The model; edits applied to it are part of what is counted.
        layers: Layers whose keys are wanted.
        config: Text and amount.
        cache: Folder to keep them in; `cache_dir` if not given.

    Raises:
        ConfigError: If the corpus is unknown or has no text.
    """
    source = None if config.corpus == "model" else corpus(config.corpus, config.seed)
    paths = {layer: _path(lm, layer, config, source, cache) for layer in layers}
    missing = [layer for layer in layers if not paths[layer].is_file()]
    if missing:
        _count(lm, missing, config, source, {layer: paths[layer] for layer in missing})
    return {layer: _load(path, config.ridge) for layer, path in paths.items()}


def uncounted(lm: LanguageModel, layers: Sequence[int], config: MomentConfig, cache: Path | None = None) -> list[int]:
    """Return the layers whose second moments are not kept yet and would be counted first."""
    source = None if config.corpus == "model" else corpus(config.corpus, config.seed)
    return [layer for layer in layers if not _path(lm, layer, config, source, cache).is_file()]


def _path(lm: LanguageModel, layer: int, config: MomentConfig, source: Corpus | None, cache: Path | None) -> Path:
    settings = config.model_dump(mode="json", exclude={"ridge"})
    identity = source.identity if source else "model"
    key = json.dumps([1, str(lm.fingerprint), str(lm.dtype), layer, settings, identity])
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    return (cache or cache_dir()) / "moments" / f"{digest}.safetensors"


def _load(path: Path, ridge: float) -> SecondMoment:
    with safe_open(path, framework="pt") as file:
        count = int(file.metadata()["count"])
        return SecondMoment(file.get_tensor("sum") / count, count, ridge)


def _count(
    lm: LanguageModel, layers: list[int], config: MomentConfig, source: Corpus | None, paths: dict[int, Path]
) -> None:
    draft = paths[layers[0]].with_suffix(".partial.safetensors")
    sums, count, texts_done = _resume(draft, layers, lm)
    texts = model_texts(lm, config.tokens, config.length, config.seed) if source is None else source.texts()
    saved = time.monotonic()
    with Progress(f"counting second moments ({config.corpus})", config.tokens) as progress:
        progress.advance(count)
        for batch in _batches(lm, itertools.islice(texts, texts_done, None), config.length):
            taken = _add(lm, layers, batch, sums, config.tokens - count)
            count, texts_done = count + taken, texts_done + len(batch)
            progress.advance(taken)
            if count >= config.tokens:
                break
            if time.monotonic() - saved > SAVE_EVERY:
                _save(draft, {str(layer): sums[layer] for layer in layers}, count, texts_done)
                saved = time.monotonic()
    if not count:
        raise ConfigError(f"The corpus {config.corpus!r} has no text.", "Name a file with text, or use corpus=model.")
    for layer in layers:
        _save(paths[layer], {"sum": sums[layer]}, count, texts_done)
    draft.unlink(missing_ok=True)


def _resume(draft: Path, layers: Sequence[int], lm: LanguageModel) -> tuple[dict[int, Tensor], int, int]:
    size = lm.architecture.inner
    if draft.is_file():
        with safe_open(draft, framework="pt") as file:
            if set(file.keys()) == {str(layer) for layer in layers}:
                meta = file.metadata()
                sums = {layer: file.get_tensor(str(layer)) for layer in layers}
                return sums, int(meta["count"]), int(meta["texts"])
    return {layer: torch.zeros(size, size, dtype=torch.float64) for layer in layers}, 0, 0


def _save(path: Path, tensors: dict[str, Tensor], count: int, texts: int) -> None:
    metadata = {"count": str(count), "texts": str(texts)}
    write_whole(path, lambda file: save_file(tensors, file, metadata))


def _batches(
    lm: LanguageModel, texts: Iterator[str], length: int, tokens: int = 2048
) -> Iterator[list[tuple[int, ...]]]:
    batch: list[tuple[int, ...]] = []
    width = 0
    for text in texts:
        ids = encode(lm.tokenizer, text).ids[:length]
        width = max(width, len(ids))
        batch.append(ids)
        if width * (len(batch) + 1) > tokens:
            yield batch
            batch, width = [], 0
    if batch:
        yield batch


def _add(
    lm: LanguageModel, layers: Sequence[int], batch: list[tuple[int, ...]], sums: dict[int, Tensor], wanted: int
) -> int:
    """Add the keys of a batch of texts, at most ``wanted`` of them; return how many."""
    batch = [ids for ids in batch if ids]
    if not batch:
        return 0
    padded = pad(batch, pad_id(lm.tokenizer), lm.device)
    inputs = {"input_ids": padded.ids, "attention_mask": padded.mask}
    sites = {layer: Site(layer, "key") for layer in layers}
    caught = capture(lm.model, lm.architecture, inputs, list(sites.values()), stop=True)
    real = padded.mask.bool()
    taken = min(int(real.sum()), wanted)
    for layer, site in sites.items():
        keys = caught[site][real][:taken].float()
        sums[layer] += (keys.T @ keys).to(sums[layer])
    return taken
