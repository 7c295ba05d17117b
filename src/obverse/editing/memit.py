"""MEMIT: mass-editing memory in a transformer (Meng et al. 2023, arXiv 2210.07229).

Many facts are written at once into a range of layers. For each fact the state z after the last of them is optimized;
then, layer by layer, what is still missing is spread over the layers left. With keys K, residuals R and the second
moment C of other keys, the change of a layer is the ridge solution (eq. 14)

    ΔW = R Kᵀ (λ C + K Kᵀ)⁻¹
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import Fact
from obverse.editing._batched import BatchConfig, chosen_layers, distinct, regularized, solve
from obverse.editing._range import write_range, write_range_each
from obverse.editing.edit import Edit
from obverse.editing.moments import MomentConfig, second_moment

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

FIRST_SHARE, LAST_SHARE = 0.05, 0.18
"""Range of layers as shares of depth, where none is given: about ROME's layer (published ranges end at 25 to 36 %)."""


class MemitConfig(BatchConfig):
    """Settings of MEMIT. Published settings are presets."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0; the last is where z is optimized. By default those from 5 % to 18 % of the depth."""
    clamp: float = 0.75
    """Largest change of a state as a multiple of the state's norm (MEMIT: 0.75)."""
    moment_weight: float | None = Field(default=None, gt=0)
    """λ, how strongly other keys are protected (MEMIT: 15,000 to 20,000, its `mom2_update_weight`). By default the
    length of a key: the weight at which a key like those of plain text is answered by half."""
    moment: MomentConfig = Field(default_factory=MomentConfig)
    """Second moment of keys."""


class Memit:
    """Write all facts at once into a range of layers, by least squares."""

    config_type = MemitConfig

    def __init__(self, config: MemitConfig) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited."""
        return chosen_layers(lm, self.config.layers or layer_range(lm))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts together. The model is untouched.

        Raises:
            DataError: If two facts answer the same question.
            EditFailed: If an optimization diverges or the edit moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        layers = self.layers(lm)
        facts = distinct(facts, self.config.last_wins)
        moments = second_moment(lm, layers, self.config.moment)
        weight = self.config.moment_weight or float(lm.architecture.inner)
        return write_range(
            lm, facts, layers, self.config, "memit",
            lambda layer, keys: ridge_answers(keys, regularized(moments[layer]), weight),
        )  # fmt: skip

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact, side by side; equal to editing each alone. Raises as `edit` does."""
        layers = self.layers(lm)
        moments = second_moment(lm, layers, self.config.moment)
        weight = self.config.moment_weight or float(lm.architecture.inner)
        return write_range_each(
            lm, facts, layers, self.config, "memit",
            lambda layer, keys: ridge_answers_each(keys, regularized(moments[layer]), weight),
        )  # fmt: skip


def layer_range(lm: LanguageModel) -> tuple[int, ...]:
    """Return the layers of MEMIT's rule: a range in the lower third."""
    deepest = lm.architecture.n_layers - 1
    return tuple(range(round(FIRST_SHARE * deepest), round(LAST_SHARE * deepest) + 1))


def ridge_answers(
    keys: Float[Tensor, "fact inner"], moment: Float[Tensor, "inner inner"], weight: float
) -> Float[Tensor, "inner fact"]:
    """Return A = (λ C + K Kᵀ)⁻¹ K, so that R Aᵀ is MEMIT's change (eq. 14).

    With fewer facts than a key is long, it is solved among the facts: A = C⁻¹ K (λ I + Kᵀ C⁻¹ K)⁻¹.

    Args:
        keys: Keys, one row a fact.
        moment: C, float64, positive definite.
        weight: λ.
    """
    columns = keys.T.to(moment)
    inner, facts = columns.shape
    if facts > inner:
        return solve(weight * moment + columns @ columns.T, columns)
    solved = solve(moment, columns)
    gram = columns.T @ solved + weight * torch.eye(facts).to(moment)
    return solve(gram, solved.T).T


def ridge_answers_each(
    keys: Float[Tensor, "fact inner"], moment: Float[Tensor, "inner inner"], weight: float
) -> Float[Tensor, "inner fact"]:
    """Return for each key alone what `ridge_answers` gives: a = C⁻¹ k / (λ + kᵀ C⁻¹ k)."""
    columns = keys.T.to(moment)
    solved = solve(moment, columns)
    return solved / (weight + (columns * solved).sum(0))
