"""MLM-U: predict masked tokens from those left, at a masking rate that is uniform over all rates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from obverse.core import Config
from obverse.model.bidirectional import BothSides
from obverse.training._predicted import only_predicted, predicted_loss
from obverse.training.example import IGNORED, Batch, Example
from obverse.training.objective import Loss, Objective
from obverse.training.objectives._content import is_content, special_ids
from obverse.training.objectives.bico import placeholder_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class MLMUConfig(Config):
    """How rows are masked and seen."""

    placeholder: str | None = None
    """Token in the place of a masked one; the tokenizer's unknown token by default, or else that for padding or the
    end."""
    flip: bool = True
    """Turn what stands after a token as what stands before it (BICO); False only drops the causal mask."""


class MLMU(Objective):
    """Uniform-rate masked language modelling on a decoder.

    Of the D tokens of a row that could be predicted, a uniform number from 1 to D is masked, and which is uniform too:

        L = E_S [ D / |S| * sum_(i in S) -log p(x_i | x_j, j not in S) ],

    an upper bound of -log p(x). A masked token is read off the output before it, as in BICO; every position sees all
    tokens that are not masked, on both sides.

    Source:
        Kitouni et al. 2024 (arXiv 2406.05183), section 3.
    """

    # Departs from the paper: an encoder-decoder reads a masked token off its own position. Here it is read one position
    # before, where the pretrained model predicts it, with BICO's attention.

    config_type: ClassVar[type[Config]] = MLMUConfig

    def __init__(self, config: MLMUConfig) -> None:
        super().__init__(config)
        self.config: MLMUConfig = config
        self._special = np.empty(0, np.int64)
        self._placeholder = 0
        self._sides: BothSides | None = None

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Find the placeholder, and out how the model attends."""
        self._special = special_ids(lm.tokenizer)
        self._placeholder = placeholder_id(lm.tokenizer, self.config.placeholder)
        self._sides = BothSides.of(lm.model)

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Mask some of a row's tokens; a row without a token to predict gives no labels."""
        possible = np.flatnonzero(is_content(example, self._special) & example.visible)
        possible = possible[possible > 0]  # nothing stands before the first position to read it off
        labels = np.full_like(example.labels, IGNORED)
        if not len(possible):
            return replace(example, labels=labels)
        masked = draws.choice(possible, int(draws.integers(1, len(possible) + 1)), replace=False)
        ids, visible, weights = example.ids.copy(), example.visible.copy(), example.weights.copy()
        labels[masked] = example.labels[masked]
        ids[masked], visible[masked] = self._placeholder, False
        weights[masked] *= len(possible) / len(masked)
        return replace(example, ids=ids, labels=labels, visible=visible, weights=weights)

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model with both sides seen; its logits are those of the predicted tokens, (1, predicted, vocab)."""
        assert self._sides is not None, "setup() comes first"
        positions = batch.get("position_ids")
        given = {} if positions is None else {"position_ids": positions}
        seen = self._sides.seen(batch["attention_mask"].bool(), positions=positions, flip=self.config.flip)
        with seen, only_predicted(self._sides.model.get_output_embeddings(), batch):
            return model(input_ids=batch["input_ids"], use_cache=False, **given)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss; ``bound`` is its mean over all tokens that could be predicted, in nats."""
        loss = predicted_loss(output.logits, batch)
        tokens = (batch["token_weights"][:, 1:] * (batch["labels"][:, 1:] != IGNORED)).sum()
        return Loss(loss.total, loss.count, {"bound": loss.total.detach() / tokens.clamp_min(1)})
