"""AlphaEdit: edits confined to directions that plain text hardly uses (Fang et al. 2025, arXiv 2410.02355).

MEMIT's range and its states z, with another closed form. P projects on the eigenvectors of C = E[k kᵀ] whose
eigenvalues are small; K_p holds the keys of edits made earlier. The change of a layer is (eq. 14)

    ΔW = R Kᵀ P (K_p K_pᵀ P + K Kᵀ P + λ I)⁻¹

Keys outside of these directions are answered exactly as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import EditFailed, Fact
from obverse.editing._batched import BatchConfig, chosen_layers, distinct, solve
from obverse.editing._range import write_range, write_range_each
from obverse.editing.edit import Edit
from obverse.editing.memit import layer_range
from obverse.editing.moments import MomentConfig, SecondMoment, second_moment

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class AlphaEditConfig(BatchConfig):
    """Settings of AlphaEdit. Published settings are presets."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0; the last is where z is optimized. By default MEMIT's."""
    clamp: float = 0.75
    """Largest change of a state as a multiple of the state's norm (AlphaEdit: 0.75)."""
    scale: Literal["relative", "absolute"] = "relative"
    """Unit of the next two: `relative` to the model's own keys, or `absolute` as published."""
    threshold: float = Field(default=1.0, gt=0)
    """Directions whose eigenvalue of C is below this may be written; in multiples of the mean eigenvalue
    (AlphaEdit: 0.02 absolute, which depends on how large a model's activations are)."""
    ridge: float = Field(default=0.01, gt=0)
    """λ, in multiples of a key's mean squared length over plain text (AlphaEdit: 10 absolute)."""
    moment: MomentConfig = Field(default_factory=MomentConfig)
    """Second moment of keys."""


class AlphaEdit:
    """Write all facts at once into directions that plain text does not use."""

    config_type = AlphaEditConfig

    def __init__(self, config: AlphaEditConfig) -> None:
        self.config = config
        self._kept: dict[tuple[str, int], Tensor] = {}  # sequences of edits would find them again for each

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited."""
        return chosen_layers(lm, self.config.layers or layer_range(lm))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact], upon: Sequence[Edit] = ()) -> Edit:
        """Compute the edit that writes the facts together. The model is untouched.

        Args:
            lm: The model.
            facts: The facts.
            upon: Edits made earlier and applied to the model now, whose keys are to be answered as they are now.

        Raises:
            DataError: If two facts answer the same question.
            EditFailed: If no direction is free, an optimization diverges or the edit moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        layers = self.layers(lm)
        facts = distinct(facts, self.config.last_wins)
        moments = second_moment(lm, layers, self.config.moment)

        def answers(layer: int, keys: Tensor) -> Tensor:
            name = lm.architecture.mlp_out(layer)
            earlier = [edit.keys[name].to(keys) for edit in upon if name in edit.keys]
            return projected_answers(keys, torch.cat([keys[:0], *earlier]), *self._parts(lm, layer, moments[layer]))

        return write_range(lm, facts, layers, self.config, "alphaedit", answers)

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact, side by side; equal to editing each alone. Raises as `edit` does."""
        layers = self.layers(lm)
        moments = second_moment(lm, layers, self.config.moment)
        return write_range_each(
            lm, facts, layers, self.config, "alphaedit",
            lambda layer, keys: projected_answers_each(keys, *self._parts(lm, layer, moments[layer])),
        )  # fmt: skip

    def _parts(self, lm: LanguageModel, layer: int, moment: SecondMoment) -> tuple[Float[Tensor, "inner kept"], float]:
        """Return the directions that may not be written, and λ."""
        relative, model = self.config.scale == "relative", (str(lm.fingerprint), layer)
        mean = float(moment.matrix.diagonal().mean())
        if model not in self._kept:
            self._kept[model] = kept_directions(moment, self.config.threshold * (mean if relative else 1))
        return self._kept[model], self.config.ridge * (mean * len(moment.matrix) if relative else 1)


def kept_directions(moment: SecondMoment, threshold: float) -> Float[Tensor, "inner kept"]:
    """Return an orthonormal basis of the eigenvectors of C whose eigenvalues are not below a threshold.

    Raises:
        EditFailed: If none is below.
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(moment.matrix)
    kept = eigenvectors[:, eigenvalues >= threshold]
    if kept.shape[1] == len(kept):
        raise EditFailed(
            f"No direction of the keys is free: the smallest eigenvalue of their second moment is "
            f"{float(eigenvalues[0]):.3g}, one below {threshold:.3g} was expected.",
            "Raise the threshold (--set threshold=2), or use --set scale=relative.",
        )
    return kept.contiguous()


def projected_answers(
    keys: Float[Tensor, "fact inner"],
    earlier: Float[Tensor, "earlier inner"],
    kept: Float[Tensor, "inner kept"],
    ridge: float,
) -> Float[Tensor, "inner fact"]:
    """Return A = (P K_p K_pᵀ P + P K Kᵀ P + λ I)⁻¹ P K, so that R Aᵀ is AlphaEdit's change.

    With E = P [K_p K] it is solved in the smaller of two spaces: (E Eᵀ + λ I)⁻¹ E = E (Eᵀ E + λ I)⁻¹, of which the
    columns of the new keys are taken.

    Args:
        keys: Keys, one row a fact.
        earlier: Keys of earlier edits, one row a fact; may have none.
        kept: Orthonormal basis U of what may not be written, float64; P = I - U Uᵀ.
        ridge: λ.
    """
    rows = torch.cat([earlier, keys]).to(kept)
    rows = rows - (rows @ kept) @ kept.T
    n, inner = rows.shape
    if n > inner:
        return solve(rows.T @ rows + ridge * torch.eye(inner).to(kept), rows[len(earlier) :].T)
    chosen = torch.eye(n).to(kept)[:, len(earlier) :]
    return rows.T @ solve(rows @ rows.T + ridge * torch.eye(n).to(kept), chosen)


def projected_answers_each(
    keys: Float[Tensor, "fact inner"], kept: Float[Tensor, "inner kept"], ridge: float
) -> Float[Tensor, "inner fact"]:
    """Return for each key alone, without earlier ones, what `projected_answers` gives: a = P k / (|P k|² + λ)."""
    rows = keys.to(kept)
    rows = rows - (rows @ kept) @ kept.T
    return (rows / (rows.square().sum(-1, keepdim=True) + ridge)).T
