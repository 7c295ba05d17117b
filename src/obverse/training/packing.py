"""A corpus as rows of tokens on disk, made once: what every epoch, run and process then reads.

The folder's name is a hash of all that the rows depend on, so another corpus, tokenizer or setting never meets old
rows. Memory does not grow with the corpus: documents stream through, rows are read by memory map.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from obverse.core import DataError, Progress, cache_dir, package_version, whole_folder
from obverse.data.scored import ScoredText
from obverse.data.scored_files import Document, DocumentSource
from obverse.model.fingerprint import remembered_file_hash
from obverse.training._rows import RowCounts, Rows, RowWriter, alone
from obverse.training._spread import spread
from obverse.training.encoding import Encoder, EncodingSettings, Tokens
from obverse.training.objective import Objective

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the folder's layout and of what is done to documents."""

CHUNK = 1_000_000
"""Characters tokenized at a time."""


class PackSettings(EncodingSettings):
    """How a corpus becomes rows."""

    length: int = Field(1024, ge=2)
    """Tokens in a row (published: 1024)."""

    packing: Literal["blocks", "documents"] = "blocks"
    """``blocks``: documents joined and cut to rows of ``length`` tokens. ``documents``: a row is a document, cut at
    ``length``."""

    skip_tokens: int = Field(0, ge=0)
    """Tokens at the start of the corpus that are passed over: those an earlier run of next-token prediction had."""

    limit: int | None = Field(None, ge=1)
    """How many documents at most; all if null."""

    drop_remainder_per_buffer: int | None = Field(None, ge=1)
    """Characters after which an incomplete block is dropped, and at the end of every source (published: 3.6 * 1024 *
    ``length``); null carries it on."""

    @model_validator(mode="after")
    def _fits(self) -> PackSettings:
        if self.packing == "documents" and (self.skip_tokens or self.drop_remainder_per_buffer):
            raise ValueError("skip_tokens and drop_remainder_per_buffer are for packing: blocks")
        if self.skip_tokens and self.drop_remainder_per_buffer:
            raise ValueError("skip_tokens and drop_remainder_per_buffer do not go together")
        return self


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to train on, made of a document.

    Attributes:
        tokens: Its tokens.
        component: Part of a mixture that it is for; -1 for any.
        characters: Its length with the separator.
    """

    tokens: Tokens
    component: int
    characters: int


@dataclass(frozen=True, slots=True)
class Preparation:
    """From documents to what is trained on in their place; can be sent to other processes.

    Attributes:
        objective: Changes documents; None leaves them as they are.
        encoder: Tokenizes.
        seed: The run's.
    """

    objective: Objective | None
    encoder: Encoder
    seed: int

    def __call__(self, numbered: Sequence[tuple[int, ScoredText]]) -> list[list[Piece]]:
        """Return the pieces of each document; none if it was dropped.

        Args:
            numbered: Documents with their places in the corpus.
        """
        made = [list(self.documents(number, document)) for number, document in numbered]
        flat = [document for documents in made for document in documents]
        tokens = iter(self.encoder.encode(flat))
        return [[self._piece(document, next(tokens)) for document in documents] for documents in made]

    def documents(self, number: int, document: ScoredText) -> Iterator[ScoredText]:
        """Yield what is trained on in a document's place."""
        if self.objective is None:
            yield document
        else:
            yield from self.objective.documents(document, self.draws(number))

    def draws(self, number: int) -> np.random.Generator:
        """Return the source of randomness of a document, by its place in the corpus."""
        return np.random.default_rng((self.seed, number))

    def _piece(self, document: ScoredText, tokens: Tokens) -> Piece:
        component = document.meta.get("component", -1)
        length = len(self.encoder.separator) + sum(map(len, document.segments))
        return Piece(tokens, component if isinstance(component, int) else -1, length)


def pack(
    sources: Sequence[DocumentSource],
    objective: Objective,
    tokenizer: PreTrainedTokenizerBase,
    settings: PackSettings,
    *,
    seed: int,
    processes: int = 1,
    cache: Path | None = None,
) -> Rows:
    """Make the rows of a corpus, or find those made before. Other processes that ask for the same wait.

    Args:
        sources: What to read, one after the other.
        objective: Changes documents (`Objective.documents`); set up already.
        tokenizer: The model's, with its control tokens.
        settings: What is set.
        seed: Seed of what the objective draws; a document's draws depend on it and the document's place alone.
        processes: How many tokenize; the rows are the same. One uses several cores too, as the tokenizer does.
        cache: Where rows are kept; ``packed`` in the cache folder by default.

    Raises:
        DataError: If a document is malformed, or has no scores and the objective needs them, or nothing is left.
        ConfigError: If the tokenizer has no end token and no separator is set.
        UnsupportedModel: If the tokenizer is not a fast one.
        ObverseError: If the rows cannot be written.
    """
    encoder = Encoder(tokenizer, settings, alone=settings.packing == "documents")
    changes = type(objective).documents is not Objective.documents
    prepare = Preparation(objective if changes else None, encoder, seed)
    folder = (cache or cache_dir() / "packed") / _key(sources, objective if changes else None, encoder, settings, seed)
    with alone(folder):
        if not folder.is_dir():
            with whole_folder(folder) as draft, RowWriter(draft, settings, len(tokenizer)) as writer:
                _fill(writer, sources, prepare, settings, objective.needs_scores, processes)
                _check(writer.counts, objective, settings)
    return Rows(folder)


def _key(
    sources: Sequence[DocumentSource], objective: Objective | None, encoder: Encoder, settings: PackSettings, seed: int
) -> str:
    """Return a hash of everything that the rows depend on."""
    parts = [
        FORMAT,
        package_version(),
        [[source.identity, *map(remembered_file_hash, source.files)] for source in sources],
        encoder.definition,
        settings.model_dump(mode="json"),
        objective and [type(objective).__qualname__, objective.config.model_dump(mode="json"), seed],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _fill(
    writer: RowWriter,
    sources: Sequence[DocumentSource],
    prepare: Preparation,
    settings: PackSettings,
    needs_scores: bool,
    processes: int,
) -> None:
    read = _documents(sources, settings.limit, needs_scores, writer.counts)
    numbered = _skipped(read, prepare, settings.skip_tokens, writer)
    characters, source = 0, 0
    with Progress("Packing the corpus") as progress:
        waiting: deque[list[Numbered]] = deque()  # chunks that are being prepared

        def jobs() -> Iterator[list[tuple[int, ScoredText]]]:
            for chunk in _chunks(numbered):
                waiting.append(chunk)
                yield [(number, document) for number, _, document in chunk]

        for made in spread(prepare, jobs(), processes):
            chunk = waiting.popleft()
            for (_, of, _), pieces in zip(chunk, made, strict=True):
                if (limit := settings.drop_remainder_per_buffer) and (characters >= limit or of != source):
                    writer.drop_remainder()
                    characters = 0
                source = of
                writer.counts.dropped += not pieces
                for piece in pieces:
                    characters += piece.characters
                    writer.add(piece.tokens, piece.component)
            progress.advance(len(chunk), f"{writer.counts.tokens:,} tokens")
        writer.drop_remainder()


Numbered = tuple[int, int, ScoredText]
"""A document's place in the corpus, the number of its source, and the document."""


def _documents(
    sources: Sequence[DocumentSource], limit: int | None, needs_scores: bool, counts: RowCounts
) -> Iterator[Numbered]:
    read = ((of, document) for of, source in enumerate(sources) for document in source.read())
    for number, (of, document) in enumerate(itertools.islice(read, limit)):
        counts.documents += 1
        if document.empty:
            counts.empty += 1
            if counts.empty == 1:
                log.warning("Empty documents are left out; the first is %s.", document.place)
            continue
        if needs_scores and not document.scored:
            raise _unscored(document)
        # A mixture says by meta["component"] which part a document is for; the user's field of that name does not.
        meta = {key: value for key, value in document.text.meta.items() if key != "component"}
        yield number, of, replace(document.text, meta=meta)


def _unscored(document: Document) -> DataError:
    return DataError(
        f"{document.place}: the document has no scores, which the objective needs.",
        "Score the corpus first (obverse score CORPUS --scorer NAME --out FOLDER), and train on that folder.",
    )


def _chunks(documents: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    chunk, size = list[Numbered](), 0
    for numbered in documents:
        chunk.append(numbered)
        size += sum(map(len, numbered[2].segments))
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _skipped(documents: Iterator[Numbered], prepare: Preparation, skip: int, writer: RowWriter) -> Iterator[Numbered]:
    """Pass over the documents that next-token prediction had in its first tokens, and go on in the middle of the last.

    The objective has no part in this: what is skipped is what a run without it saw. Of the last one the rest is
    trained on if the objective would leave the document as it is.
    """
    # Departs from Korbak et al.'s program: exactly skip / length blocks are skipped, not one less, and the objective
    # sets in at the document, not at the next buffer.
    if not skip:
        yield from documents
        return
    plain, seen = Preparation(None, prepare.encoder, prepare.seed), 0
    for chunk in _chunks(documents):
        for place, ((number, _, document), (piece,)) in enumerate(
            zip(chunk, plain([(number, document) for number, _, document in chunk]), strict=True)
        ):
            seen += len(piece.tokens.ids)
            writer.counts.skipped += 1
            if seen < skip:
                continue
            rest = seen - skip
            if rest and [*prepare.documents(number, document)] == [document]:
                writer.add(_tail(piece.tokens, rest), -1)
            yield from chunk[place + 1 :]
            yield from documents
            return
    raise DataError(
        f"{skip:,} tokens are to be skipped; the corpus has {seen:,}.", "Skip fewer (skip_tokens), or give more text."
    )


def _tail(tokens: Tokens, count: int) -> Tokens:
    cut = len(tokens.ids) - count
    spans = tuple((start - cut, end - cut) for start, end in tokens.spans if start >= cut)
    return Tokens(tokens.ids[cut:], tokens.scores[cut:], spans)


def _check(counts: RowCounts, objective: Objective, settings: PackSettings) -> None:
    if counts.rows:
        return
    left = counts.documents - counts.empty - counts.skipped
    if left and counts.dropped == left:
        raise DataError(
            f"{type(objective).__name__} dropped all {left:,} documents of the corpus.",
            "Raise its threshold: `obverse score` shows the quantiles of a corpus.",
        )
    raise DataError(
        f"The corpus gives {counts.tokens:,} tokens ({counts.documents:,} documents, {counts.empty:,} of them empty), "
        f"less than one row of {settings.length}.",
        "Give more text, set a smaller length, or packing: documents.",
    )
