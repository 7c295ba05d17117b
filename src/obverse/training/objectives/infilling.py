"""Autoregressive blank infilling (GLM): spans are cut out of a row and written behind it, to be predicted there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field, model_validator
from torch import nn

from obverse.core import Config
from obverse.model.bidirectional import BothSides
from obverse.training._predicted import only_predicted, predicted_loss
from obverse.training.example import IGNORED, Batch, Example
from obverse.training.objective import Loss, Objective
from obverse.training.objectives._blanks import Layout, Span, choose_spans, draw_spans, lay_out, length_shares
from obverse.training.objectives._content import is_content, runs, special_ids
from obverse.training.vocabulary import grow_vocabulary

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_SENTENCE_ENDS = frozenset(".!?…。！？\n")  # noqa: RUF001


class InfillingConfig(Config):
    """What is cut out, and how the row is laid out."""

    rate: float = Field(0.15, gt=0, lt=1)
    """Share of a document's tokens that are cut out; the last span may overshoot (GLM, 2.1)."""
    mean_length: float = Field(3, gt=0)
    """Mean of the Poisson distribution of span lengths, in tokens (GLM, 2.1)."""
    longest: int = Field(39, ge=1)
    """Most tokens in such a span (GLM's program)."""
    entities: float = Field(0.5, ge=0, le=1)
    """In what share of the documents that name entities the spans are entities. A span of 3 tokens rarely hides a whole
    name. 0: random spans only, as GLM."""
    shuffle: bool = True
    """Write the spans behind the row in random order (GLM, 2.1)."""
    attention: Literal["causal", "prefix"] = "causal"
    """``causal``: as the model is used later. ``prefix``: the row with its blanks is seen whole, both ways (GLM, 2.1),
    by the rule of BICO."""
    positions: Literal["continue", "original", "blank"] = "continue"
    """Of the spans' tokens: ``continue``: after the row. ``original``: where they stood; the gaps in the row then tell
    how long a span is. ``blank``: counted on from their blank, in a row where it takes one place (GLM's two axes
    added)."""
    sentences: float = Field(0, ge=0, le=1)
    """Share of rows in which whole sentences are cut out (GLM-10B: 0.3)."""
    suffix: float = Field(0, ge=0, le=1)
    """Share of rows of which the rest from some place on is cut out (GLM-10B: 0.2)."""
    shortest_suffix: float = Field(0.25, ge=0, lt=1)
    """Smallest share of a row that such a rest may be (GLM-10B)."""
    mask: str = "<|mask|>"
    """Token for a blank. This and the next four are made where the tokenizer lacks them; rare ones may be named."""
    start: str = "<|sop|>"
    """Token before a span."""
    end: str = "<|eop|>"
    """Token that ends a span."""
    sentence_mask: str = "<|smask|>"
    """Token for the blank of a sentence."""
    suffix_mask: str = "<|gmask|>"
    """Token for the blank of a suffix."""

    @model_validator(mode="after")
    def _shares(self) -> InfillingConfig:
        if self.sentences + self.suffix > 1:
            raise ValueError("the shares sentences and suffix are more than 1 together")
        return self


class Infilling(Objective):
    """Predict spans where they are written behind the row.

    With part A, the row in which each span is one mask token, and the spans z in random order,

        L = - sum_i sum_j log p(z_i,j | A, z_<i, z_i,<j),  the end of each span being predicted too.

    A row without a token that may be cut out gives no labels. Special tokens are never cut out, so a span stays within
    its document. Where the longer row would pass the model's context, the row's end is cut off.

    Source:
        Du et al. 2022 (arXiv 2103.10360), section 2.
    """

    # Departs from GLM: the mode is drawn for a row, not for a batch; the second axis of positions is left out, as a
    # decoder with rotary positions has one; the learned tables would not survive in a plain checkpoint.

    config_type: ClassVar[type[Config]] = InfillingConfig

    def __init__(self, config: InfillingConfig) -> None:
        super().__init__(config)
        self.config: InfillingConfig = config
        self._shares = length_shares(config.mean_length, config.longest)
        self._tokens: dict[str, int] = {}
        self._special = np.empty(0, np.int64)
        self._ends = np.empty(0, np.int64)
        self._context: int | None = None
        self._sides: BothSides | None = None
        self._head: Callable[[], nn.Module | None] = lambda: None  # a module itself would become a part of this one

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Give the model the tokens for blanks, and find out what the tokenizer's tokens are."""
        config = self.config
        names = ["mask", "start", "end"]
        names += ["sentence_mask"] * (config.sentences > 0) + ["suffix_mask"] * (config.suffix > 0)
        ids = grow_vocabulary(lm, [getattr(config, name) for name in names], generator)
        self._tokens = dict(zip(names, ids, strict=True))
        self._special = np.union1d(special_ids(lm.tokenizer), ids)
        self._context, self._head = lm.context, lm.model.get_output_embeddings
        if config.sentences:
            texts = lm.tokenizer.batch_decode([[i] for i in range(len(lm.tokenizer))])
            self._ends = np.array([i for i, text in enumerate(texts) if _SENTENCE_ENDS & set(text)], np.int64)
        if config.attention == "prefix":
            self._sides = BothSides.of(lm.model)

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Cut spans out of a row and write them behind it."""
        mode = draws.random()
        if mode < self.config.suffix:
            mask, spans = "suffix_mask", self._rest(example, draws)
        elif mode < self.config.suffix + self.config.sentences:
            mask, spans = "sentence_mask", self._sentences(example, draws)
        else:
            mask, spans = "mask", self._spans(example, draws)
        example, spans = self._fitting(example, spans)
        if not spans:
            return replace(example, labels=np.full_like(example.labels, IGNORED))
        order = draws.permutation(len(spans)) if self.config.shuffle else range(len(spans))
        layout = lay_out(
            example.ids,
            example.labels,
            [spans[i] for i in order],
            mask=self._tokens[mask],
            start=self._tokens["start"],
            end=self._tokens["end"],
            ignored=IGNORED,
        )
        return Example(
            layout.ids,
            layout.labels,
            example.scores[layout.owner],
            example.weights[layout.owner],
            example.visible[layout.owner],
            self._positions(layout),
            layout.part_a if self.config.attention == "prefix" else 0,
        )

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model, causally or with part A seen whole; logits are those of the predicted tokens."""
        with only_predicted(self._head(), batch):
            if self._sides is None or "prefix" not in batch:  # no row has a blank
                return super().output(model, batch)
            positions = batch.get("position_ids")
            given = {} if positions is None else {"position_ids": positions}
            with self._sides.seen(batch["attention_mask"].bool(), prefix=batch["prefix"], positions=positions):
                return model(input_ids=batch["input_ids"], use_cache=False, **given)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of what the blanks hold."""
        return predicted_loss(output.logits, batch)

    def _spans(self, example: Example, draws: np.random.Generator) -> list[Span]:
        documents = self._documents(example)
        goals = [int(self.config.rate * (end - start)) for start, end in documents]
        if documents and not any(goals):  # all are short: something of the longest must go
            goals[max(range(len(documents)), key=lambda i: documents[i][1] - documents[i][0])] = 1
        spans: list[Span] = []
        for (start, end), goal in zip(documents, goals, strict=True):
            if goal:
                named = [(s, e) for s, e in example.spans if start <= s < e <= end]
                if named and draws.random() < self.config.entities:
                    spans += choose_spans(named, goal, draws)
                else:
                    spans += draw_spans(start, end, goal, self._shares, draws)
        return spans

    def _sentences(self, example: Example, draws: np.random.Generator) -> list[Span]:
        """Choose whole sentences until the row's share is reached; as in GLM, two may stand side by side."""
        ends = np.isin(example.ids, self._ends)
        whole: list[Span] = []
        for start, end in self._documents(example):
            borders = [start, *(start + 1 + np.flatnonzero(ends[start : end - 1])), end]
            whole += [(int(s), int(e)) for s, e in pairwise(borders)]
        order = draws.permutation(len(whole))
        held = np.cumsum([whole[i][1] - whole[i][0] for i in order])
        count = int(np.searchsorted(held, int(self.config.rate * len(example.ids)))) + 1
        return sorted(whole[i] for i in order[:count])

    def _rest(self, example: Example, draws: np.random.Generator) -> list[Span]:
        """Choose the rest of the row from some place on, of at least a share of it; of three tokens, two stay."""
        n = len(example.ids)
        most = max(n - 2, 1)
        length = int(draws.integers(min(max(1, int(self.config.shortest_suffix * n)), most), most + 1))
        return [(n - length, n)] if n > 1 else []

    def _documents(self, example: Example) -> list[Span]:
        return runs(is_content(example, self._special))

    def _fitting(self, example: Example, spans: list[Span]) -> tuple[Example, list[Span]]:
        """Cut off the row's end where two more tokens a span, and one, would pass the context."""
        n = len(example.ids)
        room = n if self._context is None else min(n, self._context - 2 * len(spans) - 1)
        if room == n:
            return example, spans
        short = replace(
            example,
            **{name: getattr(example, name)[:room] for name in ("ids", "labels", "scores", "weights", "visible")},
        )
        return short, [(start, min(end, room)) for start, end in spans if start < room]

    def _positions(self, layout: Layout) -> Int[np.ndarray, " row"] | None:
        match self.config.positions:
            case "continue":
                return None
            case "original":
                began = layout.owner[: layout.part_a][layout.anchor]
                return np.maximum(began + np.where(layout.inner > 0, layout.inner - 2, 0), 0)
            case "blank":
                return layout.anchor + np.maximum(layout.inner - 1, 0)
