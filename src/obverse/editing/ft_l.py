"""FT-L: fine-tuning whose change of each entry is bounded (Zhu et al. 2020, arXiv 2012.00363).

As a baseline in Meng et al. 2022 (arXiv 2202.05262, appendix E):

    W' = argmin_W  loss(W)   subject to   max |W - W0| <= bound

The change is clamped to the bound after every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field
from torch import Tensor

from obverse.editing._finetune import Finetuner
from obverse.editing._fit import FitConfig

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


SHARE = 0.02
"""Bound as a share of the weights' root mean square, where none is given; see docs/methods/ft.md for what was tried."""


class FtLConfig(FitConfig):
    """Settings of FT-L: the released ones; the bounds published for GPT-2 and GPT-J are presets."""

    bound: float | None = Field(default=None, ge=0)
    """Largest absolute change of an entry, biases included (ROME's code: 5e-4 for GPT-2 XL, 5e-5 to 2e-3 for others);
    by default a share of the weights' size, see `SHARE`."""


class FtL(Finetuner[FtLConfig]):
    """Train the MLP's output projection of the first layer, weight and bias, within a bound."""

    config_type = FtLConfig
    method = "ft-l"

    def bound(self, lm: LanguageModel) -> float | None:
        """Return the largest absolute change of an entry."""
        if self.config.bound is not None:
            return self.config.bound
        return default_bound([lm.weight_of(name) for name in self.modules(lm)])


def default_bound(weights: Sequence[Tensor]) -> float:
    """Return the bound where none is given: `SHARE` of the weights' root mean square."""
    squares = sum(float(weight.detach().float().square().sum()) for weight in weights)
    return SHARE * (squares / sum(weight.numel() for weight in weights)) ** 0.5
