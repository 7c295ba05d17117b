"""Permutation of chunks: a document's parts are read in several orders."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.training.objective import Objective
from obverse.training.objectives._units import arranged, chunks, entities_of, pieces


class PermutationConfig(Config):
    """What is moved, and how often."""

    units: Literal["word", "entity", "chunk"] = "chunk"
    """``word``: every word by itself. ``entity``: names in ``meta["entities"]`` whole, other words by themselves.
    ``chunk``: names whole, and the words between two of them together."""
    longest: int = Field(10, ge=1)
    """Most words in a chunk that is no name. Without names chunks are this long."""
    original: float = Field(1, ge=0)
    """Weight of leaving a document in its order (SPT: one of three orders at random)."""
    reversed: float = Field(1, ge=0)
    """Weight of the reversed order of chunks."""
    shuffled: float = Field(1, ge=0)
    """Weight of a random order of chunks."""
    copies: int = Field(1, ge=1)
    """How often a document is given, each time in an order of its own."""

    @model_validator(mode="after")
    def _some_order(self) -> PermutationConfig:
        if self.original + self.reversed + self.shuffled == 0:
            raise ValueError("original, reversed and shuffled are all 0, which leaves no order")
        return self


class Permutation(Objective):
    """Predict the next token in documents whose chunks come in another order.

    Source:
        Guo et al. 2024 (arXiv 2403.00758), semantic-aware permutation training (SPT).
    """

    # Departs from SPT: chunks are cut at the names that come with a document, not by an assistant model. Departs from
    # permutation language modelling (arXiv 2406.05183): that predicts a token whose place is told, which a decoder's
    # next-token readout cannot; here the text itself is put in another order, and the order is learnt with it.

    config_type: ClassVar[type[Config]] = PermutationConfig

    def __init__(self, config: PermutationConfig) -> None:
        super().__init__(config)
        self.config: PermutationConfig = config

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield a document in as many orders as asked for; white space stays where it is."""
        config = self.config
        cut = pieces(document, () if config.units == "word" else entities_of(document))
        parts = chunks(cut, config.longest if config.units == "chunk" else 1, None)
        movable = [i for i, part in enumerate(parts) if part[0].kind != "space"]
        for _ in range(config.copies):
            at = draws.random() * (config.original + config.reversed + config.shuffled)
            if at < config.original:
                yield document
                continue
            turned = movable[::-1] if at < config.original + config.reversed else draws.permutation(movable)
            order = dict(zip(movable, turned, strict=True))
            yield arranged(document, chain.from_iterable(parts[order.get(i, i)] for i in range(len(parts))))
