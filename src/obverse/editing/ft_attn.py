"""FT-attn: bounded fine-tuning of one layer's attention in place of its MLP.

Source: the baseline "AttnEdit" of Meng et al. 2022 (arXiv 2202.05262) and its released settings.

What is trained is how attention reads the residual stream: GPT-2's fused ``c_attn``, as in the original, or the query,
key and value projections of other families. The output projection is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from obverse.editing._finetune import Finetuner, attention_inputs
from obverse.editing._fit import FitConfig

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class FtAttnConfig(FitConfig):
    """Settings of FT-attn: those released for GPT-2 XL."""

    learning_rate: float = 1e-3
    """Adam's learning rate (ROME's code: 1e-3)."""
    bound: float | None = Field(default=1e-3, ge=0)
    """Largest absolute change of an entry, biases included (ROME's code: 1e-3); null for none."""


class FtAttn(Finetuner[FtAttnConfig]):
    """Train attention's input projections, weights and biases, within a bound.

    By default the layer at 70 % of the depth, as GPT-2 XL's 33 of 48.
    """

    config_type = FtAttnConfig
    method = "ft-attn"
    depth = 0.7

    def modules_of(self, lm: LanguageModel, layer: int) -> tuple[str, ...]:
        """Return the names of a layer's attention input projections."""
        return attention_inputs(lm, layer)

    def bound(self, lm: LanguageModel) -> float | None:
        """Return the largest absolute change of an entry."""
        del lm
        return self.config.bound
