"""KN: change the value vectors of the few neurons that say the old answer (Dai et al. 2022, arXiv 2104.08696).

Integrated gradients say what each neuron adds to the probability of the old answer (`locating.attribution`). Column j
of the MLP's output matrix is what neuron j writes. For every neuron above a share of the largest score

    W'_j = W_j - erase · e(old) + write · Σ_t e(t),   t the tokens of the target, e the vocabulary's vectors

which is one rank-one update a layer: the same vector at each of its neurons.

Source: Dai et al. 2022, sections 3.2 and 5.1; as the baseline of ROME: rome.md 3.2, Meng et al. 2022, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import Config, EditFailed, Fact, JsonValue, UnsupportedModel
from obverse.editing.edit import Edit, LowRank, stack
from obverse.locating.attribution import AttributionConfig, attribute
from obverse.locating.neurons import Attribution, Neuron
from obverse.measuring import top_tokens
from obverse.model.fingerprint import tensor_hash
from obverse.model.tokens import join

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class KnConfig(Config):
    """Settings of KN."""

    layers: tuple[int, ...] | None = None
    """Layers whose neurons may be changed, from 0; by default all."""
    threshold: float = Field(default=0.2, ge=0, lt=1)
    """A neuron is taken if its score is above this share of the largest one (Dai et al.: 0.2)."""
    erase: float = 2.0
    """How much of the old answer's vector is taken away (the original program: 2; Dai et al.: 1)."""
    write: float = 1.0
    """How much of the target's vectors is added (the original program, given several targets: 1; Dai et al.: 8)."""
    vectors: Literal["output", "input"] = "output"
    """The vocabulary's vectors: those the final states are compared with, or the embeddings (the original). They are
    the same where a model ties them, as the built-ins do."""
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)
    """How neurons are scored. The original: `at: preactivation, rule: reference, reading: same-position`."""


class Kn:
    """Write facts one after another into the neurons that say the old answers."""

    config_type = KnConfig

    def __init__(self, config: KnConfig) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers whose neurons may be changed; which of them are is found for each fact.

        Raises:
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        chosen = range(lm.architecture.n_layers) if self.config.layers is None else self.config.layers
        for layer in chosen:
            lm.architecture.mlp_out(layer)
        return tuple(sorted(chosen))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts, each upon the ones before it. The model is untouched.

        The old answer is the fact's true target, or the model's likeliest token where it has none; what is taken away
        is the likeliest token's vector in both cases, as the original does.

        Raises:
            EditFailed: If no neuron adds to the old answer.
            UnsupportedModel: If the family has no single MLP matrix, or a vocabulary of another width.
        """
        layers = self.layers(lm)
        edits: list[Edit] = []
        with ExitStack() as applied:
            for number, fact in enumerate(facts):
                edits.append(self._one(lm, fact, layers, f"scoring neurons ({number + 1} of {len(facts)})"))
                if number + 1 < len(facts):
                    applied.enter_context(edits[-1].applied(lm))
        return stack(edits)

    def _one(self, lm: LanguageModel, fact: Fact, layers: Sequence[int], label: str) -> Edit:
        (likeliest,) = top_tokens(lm, fact.text, 1)
        asked = replace(fact, target=fact.target_true) if fact.target_true else fact
        answer = None if fact.target_true else [likeliest.id]
        found = attribute(lm, asked, self.config.attribution, answer_ids=answer, label=label)
        neurons = answering(found, layers, self.config.threshold)
        if not neurons:
            raise EditFailed(
                f"No neuron of the layers {', '.join(map(str, layers))} adds to {found.answer!r} after {fact.text!r}.",
                "Allow more layers (--set layers=null), or name the true answer (--true).",
            )
        joined = join(lm.tokenizer, fact.text, fact.target)
        target = [joined.encoded.ids[i] for i in joined.target]
        deltas = changes(lm, neurons, likeliest.id, target, self.config)
        weights = {name: lm.weight_of(name) for name in deltas}
        return Edit(
            deltas=deltas,
            facts=(fact,),
            method="kn",
            config=self.config.model_dump(mode="json"),
            base=lm.fingerprint,
            base_name=lm.name,
            weights={name: tensor_hash(weight) for name, weight in weights.items()},
            transposed=lm.architecture.transposed,
            details=(
                {
                    "subject": fact.subject,
                    "neurons": len(neurons),
                    "layers": list[JsonValue](sorted({neuron.layer for neuron in neurons})),
                    "scored": found.answer,
                    "erased": likeliest.text,
                    "highest": neurons[0].score,
                    "change_norm_over_weight_norm": max(
                        deltas[name].norm() / float(weight.float().norm()) for name, weight in weights.items()
                    ),
                },
            ),
        )


def answering(found: Attribution, layers: Sequence[int], threshold: float) -> list[Neuron]:
    """Return the neurons of some layers above a share of their largest score, largest first (Dai et al., 3.3)."""
    ranked = [neuron for neuron in found.above(0.0) if neuron.layer in layers]
    return [neuron for neuron in ranked if neuron.score > threshold * ranked[0].score]


def changes(
    lm: LanguageModel, neurons: Sequence[Neuron], old: int, target: Sequence[int], config: KnConfig
) -> Mapping[str, LowRank]:
    """Return the change of each layer's output matrix.

    Args:
        lm: The model; untouched.
        neurons: The neurons to change.
        old: Token whose vector is taken away.
        target: Tokens whose vectors are added.
        config: Settings.

    Raises:
        UnsupportedModel: If the vocabulary's vectors have another width than the residual stream.
    """
    vector = _vector(lm, old, target, config)
    by_layer: dict[int, Tensor] = {}
    for neuron in neurons:
        right = by_layer.setdefault(neuron.layer, vector.new_zeros(lm.architecture.inner))
        right[neuron.index] = 1
    return {
        lm.architecture.mlp_out(layer): LowRank(vector.clone()[:, None], by_layer[layer][:, None])
        for layer in sorted(by_layer)
    }


def _vector(lm: LanguageModel, old: int, target: Sequence[int], config: KnConfig) -> Float[Tensor, " hidden"]:
    table = lm.weight_of(lm.head if config.vectors == "output" else lm.model.get_input_embeddings())
    if table.shape[1] != lm.architecture.hidden:
        raise UnsupportedModel(
            f"The vocabulary's vectors of {lm.name} have {table.shape[1]} entries, its residual stream "
            f"{lm.architecture.hidden}: a neuron cannot write them.",
            "Use another method, e.g. rome.",
        )
    return config.write * table[list(target)].float().sum(0) - config.erase * table[old].float()
