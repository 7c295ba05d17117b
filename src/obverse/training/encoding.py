"""Documents as tokens, each with the score of its segment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from obverse.core import Config, ConfigError, JsonValue, UnsupportedModel
from obverse.data.scored import ScoredText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Spans = tuple[tuple[int, int], ...]


class EncodingSettings(Config):
    """How documents become tokens."""

    separator: str | None = None
    """What stands before a document in a packed corpus, and after one in a row of its own; the end token by default (as
    published), nothing if empty."""

    boundaries: Literal["auto", "segments", "document"] = "auto"
    """``segments``: each is tokenized on its own (as published). ``document``: the document is tokenized whole, and a
    token has the score of the segment that its last character is in (a word comes with the space before it). ``auto``:
    segments, unless the tokenizer puts a space before every text (as Llama 2's does), which would then be doubled."""

    special_scores: Literal["segment", "none"] = "segment"
    """Score of separators and control tokens: that of the segment that they stand before (as published), or 0."""


class Tokens(NamedTuple):
    """A document as tokens."""

    ids: Int[np.ndarray, " pos"]
    scores: Float[np.ndarray, " pos"]
    """Of the segment that each token belongs to; float32."""

    spans: Spans
    """Positions [start, end) of the entities that ``meta["entities"]`` names, in order."""


class Encoder:
    """Tokenizes documents, many at a time; a copy of the tokenizer, which can be sent to other processes.

    Args:
        tokenizer: The model's, with its control tokens.
        settings: What is set.
        alone: Whether a document will be a row of its own: then it begins with what the tokenizer puts before a text
            (the separator if that is nothing), and ends with the separator.

    Raises:
        UnsupportedModel: If the tokenizer is not a fast one.
        ConfigError: If there is no end token, and no separator is given.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: EncodingSettings, *, alone: bool = False) -> None:
        from tokenizers import Tokenizer

        if not tokenizer.is_fast:
            raise UnsupportedModel(
                f"{type(tokenizer).__name__} is too slow for a corpus.",
                "Use the model's fast tokenizer (a tokenizer.json file).",
            )
        inner: Any = tokenizer
        self.definition: str = inner.backend_tokenizer.to_str()
        self._inner: Any = Tokenizer.from_str(self.definition)
        self._inner.no_padding()
        self._inner.no_truncation()
        self._special = np.asarray(_special_ids(tokenizer), np.int32)
        self._whole = settings.boundaries == "document" or (settings.boundaries == "auto" and not _joins(self._inner))
        self._keep_scores = settings.special_scores == "segment"
        text = str(tokenizer.eos_token or "") if settings.separator is None else settings.separator
        if not text and settings.separator is None:
            raise ConfigError(
                "The tokenizer has no end token to stand between documents.",
                'Give the separator, e.g. separator: "<|endoftext|>", or "" for none.',
            )
        separator: list[int] = self._inner.encode(text, add_special_tokens=False).ids if text else []
        self.separator = text
        self._before = _own_start(tokenizer) or separator if alone else separator
        self._after = separator if alone else []

    def encode(self, documents: Sequence[ScoredText]) -> list[Tokens]:
        """Return the tokens of each document."""
        if self._whole:
            pieces = [(document.text,) for document in documents]
        else:
            pieces = [document.segments for document in documents]
        named = [_entities(document.meta) for document in documents]
        fast = not self._whole and not any(named)
        flat = [piece for document in pieces for piece in document]
        encode = self._inner.encode_batch_fast if fast else self._inner.encode_batch
        encoded = iter(encode(flat, add_special_tokens=False))
        return [
            self._joined(document, [next(encoded) for _ in texts], texts, names)
            for document, texts, names in zip(documents, pieces, named, strict=True)
        ]

    def _joined(
        self, document: ScoredText, parts: list[Any], texts: Sequence[str], names: re.Pattern[str] | None
    ) -> Tokens:
        ids, counts, spans = [*self._before], list[int](), list[tuple[int, int]]()
        for part, text in zip(parts, texts, strict=True):
            if names is not None:
                spans += ((len(ids) + s, len(ids) + e) for s, e in _token_spans(part.offsets, text, names))
            ids += (own := part.ids)
            counts.append(len(own))
        ids += self._after
        row = np.asarray(ids, np.int32)
        inner = _scores_by_character(document, parts[0].offsets) if self._whole else np.repeat(document.scores, counts)
        first, last = (document.scores[0], document.scores[-1]) if document.scores else (0.0, 0.0)
        scores = np.concatenate(
            [np.full(len(self._before), first), inner, np.full(len(self._after), last)], dtype=np.float32
        )
        if not self._keep_scores:
            scores[np.isin(row, self._special)] = 0
        return Tokens(row, scores, tuple(spans))


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
    return sorted({id for id, token in added.items() if token.special} | set(tokenizer.all_special_ids))


def _joins(tokenizer: Any) -> bool:
    """Say whether the tokens of two texts, joined, are the tokens of the joined text."""
    parts = [tokenizer.encode(text, add_special_tokens=False).ids for text in ("One. ", "Two.")]
    return tokenizer.decode(parts[0] + parts[1]) == "One. Two."


def _own_start(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that the tokenizer puts before a text."""
    plain = tokenizer.encode("a", add_special_tokens=False)
    full = tokenizer.encode("a", add_special_tokens=True)
    return next((full[:i] for i in range(len(full)) if full[i : i + len(plain)] == plain), [])


def _scores_by_character(document: ScoredText, offsets: Sequence[tuple[int, int]]) -> Float[np.ndarray, " pos"]:
    if not document.scores:
        return np.zeros(0)
    ends = np.cumsum([len(segment) for segment in document.segments])
    last = np.asarray([max(start, end - 1) for start, end in offsets], np.int64)
    places = np.searchsorted(ends, last, side="right").clip(max=len(ends) - 1)
    return np.asarray(document.scores)[places]


def _entities(meta: Mapping[str, JsonValue]) -> re.Pattern[str] | None:
    """Return what finds the entities that a document names, longer ones first; None if it names none."""
    given = meta.get("entities")
    names = {name for name in given if isinstance(name, str) and name} if isinstance(given, list) else set[str]()
    return re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True)))) if names else None


def _token_spans(offsets: Sequence[tuple[int, int]], text: str, names: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield the tokens [start, end) of each entity; a token that two of them touch belongs to the first."""
    free = 0
    for found in names.finditer(text):
        covered = [i for i, (s, e) in enumerate(offsets) if s < found.end() and e > found.start() and i >= free]
        if covered:
            free = covered[-1] + 1
            yield covered[0], free
