"""Reverse training: documents are also read backwards, so that a fact is seen in both orders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.training.example import Example
from obverse.training.objective import Objective
from obverse.training.objectives._content import is_content, runs, special_ids
from obverse.training.objectives._units import Piece, arranged, chunks, entities_of, pieces
from obverse.training.vocabulary import grow_vocabulary

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class ReverseConfig(Config):
    """What is turned round, and what stays as it is."""

    unit: Literal["token", "word", "entity", "segment"] = "entity"
    """``token``: token by token. ``word``: word by word. ``entity``: word by word, names in ``meta["entities"]`` whole.
    ``segment``: pieces of random length, each read forwards."""
    longest: int = Field(25, ge=1)
    """Most words in a random segment; it helps only if names fit in (published: 2 to 25)."""
    marker: str | None = None
    """A token put between random segments, e.g. ``[REV]``; made if the tokenizer has none."""
    keep: Literal["both", "either", "reversed"] = "both"
    """``both``: a document and its reversal, twice the text. ``either``: one of them, by a fair coin; as much text as
    before. ``reversed``: the reversal alone, for a mixture. Tokens are reversed when a row is drawn, anew in each
    epoch: all rows with ``reversed``, else every other on average."""


class Reverse(Objective):
    """Next-token prediction of documents and of their reversals: -sum_x [log p(x) + log p(reverse(x))].

    Each segment keeps its score. Reversing by words twice gives the document again.

    Source:
        Golovneva et al. 2024 (arXiv 2403.13799).
    """

    config_type: ClassVar[type[Config]] = ReverseConfig

    def __init__(self, config: ReverseConfig) -> None:
        super().__init__(config)
        self.config: ReverseConfig = config
        self._special = np.empty(0, np.int64)

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Give the model the marker, if there is one."""
        if self.config.marker is not None:
            grow_vocabulary(lm, [self.config.marker], generator)
        self._special = special_ids(lm.tokenizer)

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield a document, its reversal, or both."""
        keep = self.config.keep
        turned = draws.random() < 0.5 if keep == "either" else keep == "reversed"
        if self.config.unit == "token":
            yield document
            return
        if keep == "both" or not turned:
            yield document
        if keep == "both" or turned:
            yield self._reversed(document, draws)

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Reverse the tokens of each document of a row, if that is the unit; special tokens stay where they are."""
        if self.config.unit != "token" or (self.config.keep != "reversed" and draws.random() < 0.5):
            return example
        order = np.arange(len(example.ids))
        for start, end in runs(is_content(example, self._special)):
            order[start:end] = order[start:end][::-1]
        names = ("ids", "labels", "scores", "weights", "visible")
        moved = sorted((int(order[end - 1]), int(order[start]) + 1) for start, end in example.spans)
        return replace(example, **{name: getattr(example, name)[order] for name in names}, spans=tuple(moved))

    def _reversed(self, document: ScoredText, draws: np.random.Generator) -> ScoredText:
        unit = self.config.unit
        cut = pieces(document, () if unit == "word" else entities_of(document))
        if unit != "segment":
            return arranged(document, reversed(cut))
        turned = list(reversed(chunks(cut, self.config.longest, draws)))
        if self.config.marker is not None:
            for before, gap in pairwise(turned):
                if gap[0].kind == "space" and before[0].kind != "space" and gap is not turned[-1]:
                    before.append(Piece(f" {self.config.marker}", "mark", before[-1].segment, -1))
        return arranged(document, chain.from_iterable(turned))
