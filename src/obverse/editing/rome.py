"""ROME: rank-one model editing (Meng et al. 2022, arXiv 2202.05262).

A fact is a key k* (what the MLP sees at the subject's last token) and a value v* (what it should answer). Of all
weights W' with W' k* = v*, the one closest to W in its effect on other keys, whose second moment is C, is (eq. 2)

    W' = W + (v* - W k*) uᵀ / (uᵀ k*),        u = C⁻¹ k*
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import EditFailed, Fact, JsonValue
from obverse.editing._rows import Looked, Lookup, check_contexts, look
from obverse.editing.contexts import ContextConfig, contexts
from obverse.editing.edit import Edit, LowRank, stack
from obverse.editing.moments import MomentConfig, SecondMoment, second_moment
from obverse.editing.rowwise import EachRow
from obverse.editing.values import Value, ValueConfig, optimize
from obverse.model.fingerprint import tensor_hash

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

KeyMode = Literal["consistent", "original", "prompt-key"]

LAYER_SHARE = 0.11
"""Layer to edit as a share of depth, where none is given; see docs/layers.md for the measurements behind it."""


class RomeConfig(ValueConfig):
    """Settings of ROME. Defaults are the rule measured on the built-in models; published settings are presets."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0, in ascending order; by default one, at 11 % of the depth."""
    lookup: Lookup = "subject-last"
    """Token at which the fact is looked up (ROME: the subject's last)."""
    key: KeyMode = "consistent"
    """`consistent`: the mean key over contexts everywhere, so that the closed form holds (arXiv 2403.07175, r-ROME);
    `original`: ROME's code, mean key in u but the bare prompt's key in the division; `prompt-key`: the bare prompt's
    key everywhere (p-ROME)."""
    contexts: ContextConfig = Field(default_factory=ContextConfig)
    """Contexts the fact is put in."""
    moment: MomentConfig | None = Field(default_factory=MomentConfig)
    """Second moment of keys; null leaves it out (C = identity, as FastEdit does)."""


class Rome:
    """Write facts one after another, each into one matrix a layer, by a rank-one update."""

    config_type = RomeConfig

    def __init__(self, config: RomeConfig) -> None:
        self.config = config
        check_contexts(config.contexts.texts or ())

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited."""
        chosen = self.config.layers
        if chosen is None:
            chosen = (round(LAYER_SHARE * (lm.architecture.n_layers - 1)),)
        for layer in chosen:
            lm.architecture.mlp_out(layer)  # raises for a layer out of range and for families without one matrix
        return tuple(sorted(chosen))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts, each upon the ones before it. The model is untouched.

        Raises:
            EditFailed: If an optimization diverges or an edit moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        layers = self.layers(lm)
        templates = contexts(lm, self.config.contexts)
        moments = self._moments(lm, layers)
        edits: list[Edit] = []
        with ExitStack() as applied:
            for number, fact in enumerate(facts):
                for layer in layers:
                    label = f"optimizing {fact.subject} → {fact.target}" + (
                        f" ({number + 1} of {len(facts)})" if len(facts) > 1 else ""
                    )
                    looked = look(lm, layer, [fact], templates, self.config.lookup)
                    (value,) = optimize(lm, layer, looked, self.config, label)
                    edits.append(self._rank_one(lm, layer, fact, looked, value, moments.get(layer)))
                    if len(facts) * len(layers) > len(edits):
                        applied.enter_context(edits[-1].applied(lm))
        return replace(stack(edits), facts=tuple(facts))

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact], upon: Sequence[Edit] = ()) -> list[Edit]:
        """Compute one independent edit a fact, their values optimized side by side; equal to editing each alone.

        Args:
            lm: The model; untouched.
            facts: The facts.
            upon: One edit a fact, upon which it is written; none for the model as it is.

        Raises:
            EditFailed: If an optimization diverges or an edit moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        if not facts:
            return []
        layers = self.layers(lm)
        templates = contexts(lm, self.config.contexts)
        moments = self._moments(lm, layers)
        per_fact = len(templates) + 1
        edits: list[list[Edit]] = []
        for layer in layers:
            below = list(zip(*([upon] if upon else []), *edits, strict=True))
            edited = EachRow(lm, [stack(own) for own in below]) if below else None
            looked = look(lm, layer, facts, templates, self.config.lookup, edited)
            values = optimize(lm, layer, looked, self.config, f"optimizing {len(facts)} facts side by side")
            rows = [slice(i * per_fact, (i + 1) * per_fact) for i in range(len(facts))]
            edits.append(
                [
                    self._rank_one(lm, layer, fact, looked, value, moments.get(layer), own)
                    for fact, value, own in zip(facts, values, rows, strict=True)
                ]
            )
        return [replace(stack(own), facts=(fact,)) for own, fact in zip(zip(*edits, strict=True), facts, strict=True)]

    def _moments(self, lm: LanguageModel, layers: Sequence[int]) -> dict[int, SecondMoment]:
        return second_moment(lm, layers, self.config.moment) if self.config.moment is not None else {}

    def _rank_one(
        self,
        lm: LanguageModel,
        layer: int,
        fact: Fact,
        looked: Looked,
        value: Value,
        moment: SecondMoment | None,
        rows: slice = slice(None),
    ) -> Edit:
        keys, values = looked.keys[rows][:-1].float(), looked.values[rows][:-1].float()
        closed = closed_form(keys, values, value.target, moment, self.config.key)
        name = lm.architecture.mlp_out(layer)
        weight = lm.weight_of(name)
        change = LowRank(closed.left[:, None], closed.right[:, None])
        if not torch.isfinite(closed.left).all() or not torch.isfinite(closed.right).all():
            raise EditFailed(
                f"The update for {fact.text!r} is not finite; the model is untouched.",
                "Set a larger ridge (--set moment.ridge=0.01) or use --set key=consistent.",
            )
        share = change.norm() / float(weight.float().norm())
        if share == 0:
            raise EditFailed(f"The edit of {fact.text!r} moved nothing.", "Allow more steps (--set steps=20).")
        return Edit(
            deltas={name: change},
            facts=(fact,),
            method="rome",
            config=self.config.model_dump(mode="json"),
            base=lm.fingerprint,
            base_name=lm.name,
            weights={name: tensor_hash(weight)},
            transposed=lm.architecture.transposed,
            keys={name: closed.key[None]},
            details=(_details(layer, fact, value, closed, share),),
        )


class _Closed:
    """The parts of the closed form: delta = left rightᵀ, and what was divided by."""

    def __init__(self, left: Tensor, right: Tensor, key: Tensor, alignment: float) -> None:
        self.left, self.right, self.key, self.alignment = left, right, key, alignment


def closed_form(
    keys: Float[Tensor, "context inner"],
    values: Float[Tensor, "context hidden"],
    target: Float[Tensor, " hidden"],
    moment: SecondMoment | None,
    mode: KeyMode,
) -> _Closed:
    """Return the rank-one change that answers ``target`` to the fact's key (ROME, eq. 2).

    Args:
        keys: Keys in each context, the bare prompt first.
        values: The matrix' outputs there, bias included.
        target: The value to write.
        moment: Second moment of keys; None stands for the identity.
        mode: Which key stands where, see `RomeConfig.key`.
    """
    mean = keys.mean(0)
    direction = keys[0] if mode == "prompt-key" else mean
    u = moment.solve(direction) if moment is not None else direction
    u = u / u.norm()
    key, value = (mean, values.mean(0)) if mode == "consistent" else (keys[0], values[0])
    product = key @ u
    return _Closed(target - value, u / product, key, float(product / key.norm()))


def _details(layer: int, fact: Fact, value: Value, closed: _Closed, share: float) -> dict[str, JsonValue]:
    last = value.steps[-1]
    return {
        "subject": fact.subject,
        "layer": layer,
        "evaluations": len(value.steps),
        "loss": last.loss,
        "nll": last.nll,
        "kl": last.kl,
        "delta_norm_over_value_norm": float(value.delta.norm() / value.initial.norm()),
        "key_alignment": closed.alignment,
        "change_norm_over_weight_norm": share,
    }
