"""What a neuron says: the tokens that its write to the residual stream makes likelier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.locating.neurons import Neuron
from obverse.model.partial import gives_tuples, head_logits

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

TOGETHER = 64
"""Neurons whose logits are held at once."""


@torch.no_grad()
def promoted(lm: LanguageModel, neurons: Sequence[Neuron], k: int = 5) -> list[tuple[str, ...]]:
    """Return the tokens that each neuron makes likelier, most first.

    What the neuron writes (its column of the MLP's output projection, turned round where its value is negative) is put
    alone through the norm behind the MLP, if there is one, the final norm and the vocabulary projection; tokens are
    ranked by their logits less those of an empty residual stream. Blocks between do not count.

    Args:
        lm: The model.
        neurons: The neurons.
        k: How many tokens of each.
    """
    architecture = lm.architecture
    as_tuple = gives_tuples(lm.model, architecture)
    written = [_written(lm, neuron) for neuron in neurons]
    if not written:
        return []
    empty, *_ = head_logits(lm.model, architecture, torch.zeros_like(written[0])[None], as_tuple).float()
    found = list[tuple[str, ...]]()
    for some in torch.stack(written).split(TOGETHER):
        gains = head_logits(lm.model, architecture, some, as_tuple).float() - empty
        found += [tuple(lm.decode([token]) for token in row) for row in gains.topk(min(k, lm.vocab)).indices.tolist()]
    return found


def _written(lm: LanguageModel, neuron: Neuron) -> Float[Tensor, " hidden"]:
    architecture, layout = lm.architecture, lm.architecture.layout
    weight = lm.weight_of(architecture.mlp_out(neuron.layer))
    column = weight[neuron.index] if architecture.transposed else weight[:, neuron.index]
    column = -column if neuron.value < 0 else column
    if layout.mlp_write == layout.mlp_out:
        return column
    return lm.model.get_submodule(f"{architecture.block(neuron.layer)}.{layout.mlp_write}")(column)
