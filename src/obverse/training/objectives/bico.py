"""BICO: predict masked tokens from both sides, on a decoder that sees what follows as it sees what came before."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool
from pydantic import Field
from torch import nn

from obverse.core import Config, ConfigError
from obverse.model.bidirectional import BothSides
from obverse.training._predicted import only_predicted, predicted_loss
from obverse.training.example import IGNORED, Batch, Example
from obverse.training.objective import Loss, Objective
from obverse.training.objectives._content import is_content, special_ids
from obverse.training.vocabulary import single_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)


class BICOConfig(Config):
    """How rows are masked and seen."""

    rate: float = Field(0.15, ge=0.001, le=0.999)
    """Probability with which each content token is masked (arXiv 2311.07468, the released program)."""
    entities: float = Field(0, ge=0, le=1)
    """In what share of the rows that name entities one of them, whole, is masked and nothing else. Single tokens drawn
    rarely hide a whole name. 0: never, as published."""
    placeholder: str | None = None
    """Token in the place of a masked one; by default the tokenizer's unknown token, or else that for padding or the
    end. It is seen by nobody, but what is predicted inside a masked run depends on it."""
    flip: bool = True
    """Turn what stands after a token as what stands before it; False only drops the causal mask (ablation)."""
    fused: bool = True
    """Use fused attention kernels where there are any; False computes every score, as the released program does."""


class BICO(Objective):
    """Autoregressive mask denoising with bidirectional causal attention.

    Each content token of a row is masked with probability `rate`; with S the masked ones and all others visible from
    every position, by score(m, n) = q_m R(-|m - n|) k_n,

        L = - 1/|S| sum_(j in S) log p(x_j | output at position j - 1).

    This is the pure objective; the authors mix it with next-token prediction, one fair coin a batch: ``mixture``.

    Attributes:
        placeholder: Token id in the place of a masked token; known after `setup`.

    Source:
        Lv et al. 2023 (arXiv 2311.07468), section 4, and the released program.
    """

    # Departs from the released program: a row without a masked token is drawn anew (its loss can be NaN), and logits
    # are computed where a token is predicted only; neither changes the loss of a row that has one.

    config_type: ClassVar[type[Config]] = BICOConfig

    def __init__(self, config: BICOConfig) -> None:
        super().__init__(config)
        self.config: BICOConfig = config
        self.placeholder = 0
        self._special = np.empty(0, np.int64)
        self._sides: BothSides | None = None

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Find the placeholder, and out how the model attends.

        Raises:
            ConfigError: If the placeholder is not a token, or the tokenizer has none that could be one.
            UnsupportedModel: If a block attends in a way that is not known.
        """
        self._special = special_ids(lm.tokenizer)
        self.placeholder = placeholder_id(lm.tokenizer, self.config.placeholder)
        self._sides = BothSides.of(lm.model)
        token = lm.tokenizer.convert_ids_to_tokens(self.placeholder)
        _log.info("BICO puts token %d, %r, in the place of masked ones.", self.placeholder, token)

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Mask some of a row's tokens, at least one; a row without a token to predict gives no labels."""
        possible = is_content(example, self._special) & example.visible
        possible[:1] = False  # nothing stands before the first position to read it off
        masked = self._entity(example, possible, draws)
        if masked is None:
            masked = self._masked(possible, draws)
        return replace(
            example,
            ids=np.where(masked, self.placeholder, example.ids),
            labels=np.where(masked, example.labels, IGNORED),
            visible=example.visible & ~masked,
        )

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model with both sides seen; its logits are those of the predicted tokens, (1, predicted, vocab)."""
        assert self._sides is not None, "setup() comes first"
        positions = batch.get("position_ids")
        given = {} if positions is None else {"position_ids": positions}
        visible = batch["attention_mask"].bool()
        seen = self._sides.seen(visible, positions=positions, flip=self.config.flip, fused=self.config.fused)
        with seen, only_predicted(self._sides.model.get_output_embeddings(), batch):
            return model(input_ids=batch["input_ids"], use_cache=False, **given)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of the masked tokens."""
        return predicted_loss(output.logits, batch)

    def _entity(
        self, example: Example, possible: Bool[np.ndarray, " pos"], draws: np.random.Generator
    ) -> Bool[np.ndarray, " pos"] | None:
        """Draw an entity to be masked whole; None where single tokens are masked."""
        named = [(start, end) for start, end in example.spans if possible[start:end].all()]
        if not self.config.entities or not named or draws.random() >= self.config.entities:
            return None
        start, end = named[int(draws.integers(len(named)))]
        masked = np.zeros_like(possible)
        masked[start:end] = True
        return masked

    def _masked(self, possible: Bool[np.ndarray, " pos"], draws: np.random.Generator) -> Bool[np.ndarray, " pos"]:
        """Draw which of the possible tokens are masked: each by itself, and not none of them."""
        masked = np.zeros_like(possible)
        while possible.any() and not masked.any():
            masked = possible & (draws.random(len(possible)) < self.config.rate)
        return masked


def placeholder_id(tokenizer: PreTrainedTokenizerBase, token: str | None) -> int:
    """Return the id of the token that stands where one is masked.

    Args:
        tokenizer: The model's tokenizer.
        token: A token; None: the unknown token, or else that for padding or the end.

    Raises:
        ConfigError: If it is not a token, or the tokenizer has none of these.
    """
    if token is not None:
        return single_token(tokenizer, token)
    for own in (tokenizer.unk_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(own, int):
            return own
    raise ConfigError(
        "The tokenizer has no token for what is unknown, padding or the end, so none can stand for a masked token.",
        "Name one: placeholder=TOKEN.",
    )
