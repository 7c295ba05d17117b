"""Tokenizers for models drawn anew: of a known model, or trained on the corpus, so that nothing is fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError, DataError, Progress, cache_dir, package_version, whole_folder
from obverse.model._quiet import quiet
from obverse.model._source import find_source, not_found
from obverse.model.fingerprint import remembered_file_hash
from obverse.model.gguf import converted_tokenizer
from obverse.recipes.train_data import texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from obverse.data.scored_files import DocumentSource
    from obverse.training.settings import TokenizerSettings

END, UNKNOWN = "<|endoftext|>", "<|unknown|>"
MOST = 100_000_000
"""Characters of a corpus that a tokenizer is trained on at most."""


def tokenizer_for(settings: str | TokenizerSettings, sources: Sequence[DocumentSource], limit: int | None) -> Any:
    """Return the tokenizer of a model, or one trained on a corpus; the latter is kept in the cache.

    Args:
        settings: A model's name or folder, or what to train.
        sources: The corpus.
        limit: How many of its documents are read.
    """
    if isinstance(settings, str):
        return load_tokenizer(settings)
    parts = [
        package_version(),
        settings.model_dump(mode="json"),
        limit,
        [[source.identity, *map(remembered_file_hash, source.files)] for source in sources],
    ]
    folder = cache_dir() / "tokenizers" / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    if not folder.is_dir():
        trained = train_tokenizer(settings, texts(sources, limit))
        with whole_folder(folder, replace=True) as draft, quiet():
            trained.save_pretrained(draft)
    return load_tokenizer(str(folder))


def load_tokenizer(name: str) -> Any:
    """Return a tokenizer by the name of a model, or from a folder.

    Raises:
        UnknownName: If there is none.
    """
    from transformers import AutoTokenizer

    folder = Path(name).expanduser()
    if (folder / "tokenizer.json").is_file():
        with quiet():
            return AutoTokenizer.from_pretrained(folder)
    source = find_source(name)
    try:
        with quiet(keep_bars=source.may_download):
            found = converted_tokenizer(source.folder) if source.folder else None
            return found or AutoTokenizer.from_pretrained(source.place, **source.options)
    except OSError as error:
        raise not_found(source, error) from error


def train_tokenizer(settings: TokenizerSettings, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a tokenizer; the same texts give the same.

    Args:
        settings: ``bpe``, which writes any text, or ``words``, in which words unseen are unknown.
        texts: What to train on; `MOST` characters are read.

    Raises:
        ConfigError: If the size has no room for the 256 bytes.
        DataError: If the texts are empty.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if settings.kind == "bpe" and settings.size < 257:
        raise ConfigError(
            f"model.tokenizer.size: {settings.size} given; byte-level BPE needs 257 or more.", "Give a larger size."
        )
    if settings.kind == "bpe":
        inner, special = Tokenizer(models.BPE()), [END]
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=settings.size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        inner, special = Tokenizer(models.WordLevel(unk_token=UNKNOWN)), [END, UNKNOWN]
        inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        inner.decoder = decoders.Metaspace()
        trainer = trainers.WordLevelTrainer(vocab_size=settings.size, special_tokens=special, show_progress=False)
    with Progress("Training a tokenizer"):
        inner.train_from_iterator(_some(texts), trainer)
    if inner.get_vocab_size() <= len(special):
        raise DataError("The corpus has no text to train a tokenizer on.", "Give documents that are not empty.")
    unknown = {"unk_token": UNKNOWN} if settings.kind == "words" else {}
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=END, eos_token=END, **unknown)


def _some(texts: Iterable[str]) -> Iterator[str]:
    left = MOST
    for text in texts:
        if left <= 0:
            return
        left -= len(text)
        yield text
