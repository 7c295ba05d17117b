"""EMMET: many facts at once under equality constraints (Gupta et al. 2024, arXiv 2403.14236).

ROME's closed form for a batch. Of all W' that answer every key with its value, W' K = V, the one closest to W in its
effect on other keys, whose second moment is C, is

    W' = W + R (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹,        R = V - W K

With one fact it is ROME with one key everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import EditFailed, Fact, JsonValue
from obverse.editing._batched import (
    BatchConfig,
    by_context,
    chosen_layers,
    distinct,
    layer_edit,
    layer_edit_each,
    looked_parts,
    regularized,
    solve,
    value_detail,
    whole_edit,
)
from obverse.editing.contexts import contexts
from obverse.editing.edit import Edit, stack
from obverse.editing.moments import MomentConfig, SecondMoment, second_moment
from obverse.editing.rome import LAYER_SHARE
from obverse.editing.values import Value, optimize

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

SAME = 1e-6
"""Keys whose cosine under C⁻¹ is nearer to 1 than this are taken for one key."""


class EmmetConfig(BatchConfig):
    """Settings of EMMET. Defaults are ROME's; published settings are presets."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0, in ascending order; by default one, at 11 % of the depth (as ROME here)."""
    ridge: float = Field(default=0.0, ge=0)
    """Slack of the constraints: this multiple of its mean diagonal is added to Kᵀ C⁻¹ K. 0 meets each exactly, which
    facts with one key do not allow (the published program adds a fixed 0.1)."""
    moment: MomentConfig | None = Field(default_factory=MomentConfig)
    """Second moment of keys; null leaves it out (C = identity)."""


class Emmet:
    """Write all facts at once, each exactly."""

    config_type = EmmetConfig

    def __init__(self, config: EmmetConfig) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited."""
        rule = (round(LAYER_SHARE * (lm.architecture.n_layers - 1)),)
        return chosen_layers(lm, self.config.layers or rule)

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts together, layer upon layer. The model is untouched.

        Raises:
            DataError: If two facts answer the same question.
            EditFailed: If facts share a key, an optimization diverges or the edit moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        layers = self.layers(lm)
        facts = distinct(facts, self.config.last_wins)
        templates = contexts(lm, self.config.contexts)
        moments = second_moment(lm, layers, self.config.moment) if self.config.moment else {}
        edits: list[Edit] = []
        details: list[dict[str, JsonValue]] = []
        with ExitStack() as applied:
            for layer in layers:
                keys, residuals, values = self._written(lm, layer, facts, templates)
                answers = exact_answers(keys, _matrix(moments.get(layer)), self.config.ridge, facts)
                edits.append(layer_edit(lm, layer, facts, keys, residuals, answers))
                details += [value_detail(fact, value, [layer]) for fact, value in zip(facts, values, strict=True)]
                if len(edits) < len(layers):
                    applied.enter_context(edits[-1].applied(lm))
        return whole_edit(edits, "emmet", self.config, details)

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact, side by side; equal to editing each alone. Raises as `edit` does."""
        layers = self.layers(lm)
        templates = contexts(lm, self.config.contexts)
        moments = second_moment(lm, layers, self.config.moment) if self.config.moment else {}
        edits: list[list[Edit]] = []
        details: list[list[dict[str, JsonValue]]] = []
        for layer in layers if facts else ():
            upon = [stack(below) for below in zip(*edits, strict=True)]
            keys, residuals, values = self._written(lm, layer, facts, templates, upon)
            answers = exact_answers_each(keys, _matrix(moments.get(layer)), self.config.ridge)
            edits.append(layer_edit_each(lm, layer, facts, keys, residuals, answers))
            details.append([value_detail(fact, value, [layer]) for fact, value in zip(facts, values, strict=True)])
        each = zip(zip(*edits, strict=True), zip(*details, strict=True), strict=True)
        return [whole_edit(own, "emmet", self.config, known) for own, known in each]

    def _written(
        self,
        lm: LanguageModel,
        layer: int,
        facts: Sequence[Fact],
        templates: Sequence[str],
        upon: Sequence[Edit] = (),
    ) -> tuple[Float[Tensor, "fact inner"], Float[Tensor, "fact hidden"], list[Value]]:
        """Return keys, what they are to be answered with in addition, and the values; with ``upon`` one edit a fact."""
        keys: list[Tensor] = []
        outputs: list[Tensor] = []
        values: list[Value] = []
        for looked, label in looked_parts(lm, layer, facts, templates, self.config, upon):
            values += optimize(lm, layer, looked, self.config, label)
            keys.append(by_context(looked.keys.float(), templates).mean(1))
            outputs.append(by_context(looked.values.float(), templates).mean(1))
        return torch.cat(keys), torch.stack([value.target for value in values]) - torch.cat(outputs), values


def _matrix(moment: SecondMoment | None) -> Float[Tensor, "inner inner"] | None:
    return regularized(moment) if moment else None


def exact_answers(
    keys: Float[Tensor, "fact inner"],
    moment: Float[Tensor, "inner inner"] | None,
    ridge: float = 0.0,
    facts: Sequence[Fact] = (),
) -> Float[Tensor, "inner fact"]:
    """Return A = C⁻¹ K (Kᵀ C⁻¹ K)⁻¹, for which Aᵀ K = I: each column answers 1 to its key and 0 to all others.

    Args:
        keys: Keys, one row a fact.
        moment: C, float64, positive definite; None stands for the identity.
        ridge: Slack, as a multiple of the mean diagonal of Kᵀ C⁻¹ K.
        facts: The facts, to name them.

    Raises:
        EditFailed: If no W' can answer every key, as two are the same or there are more of them than a key is long.
    """
    columns = keys.T.double().to(moment.device if moment is not None else keys.device)
    solved = columns if moment is None else solve(moment, columns)
    gram = columns.T @ solved
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    _check_independent(gram, facts)
    return solve(gram, solved.T).T


def exact_answers_each(
    keys: Float[Tensor, "fact inner"], moment: Float[Tensor, "inner inner"] | None, ridge: float = 0.0
) -> Float[Tensor, "inner fact"]:
    """Return for each key alone what `exact_answers` gives: a = C⁻¹ k / (kᵀ C⁻¹ k), with slack ridge over 1 + ridge."""
    columns = keys.T.double().to(moment.device if moment is not None else keys.device)
    solved = columns if moment is None else solve(moment, columns)
    return solved / ((1 + ridge) * (columns * solved).sum(0))


def _check_independent(gram: Float[Tensor, "fact fact"], facts: Sequence[Fact]) -> None:
    scale = gram.diagonal().rsqrt()
    cosines = gram * scale * scale[:, None]
    if float(torch.linalg.eigvalsh(cosines)[0]) > SAME:
        return
    near = (cosines - torch.eye(len(gram)).to(cosines)).abs()
    first, second = divmod(int(near.argmax()), len(gram))
    if float(near.max()) > 1 - SAME and facts:
        why = f"{facts[first].text!r} and {facts[second].text!r} have one and the same key"
    else:
        why = f"the keys of these {len(gram)} facts depend on each other"
    raise EditFailed(
        f"The constraints cannot all be met exactly: {why}.",
        "Allow slack (--set ridge=0.001), use --method memit, or write the facts one after another.",
    )
