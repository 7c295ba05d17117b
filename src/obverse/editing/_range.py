"""Write facts into a range of layers, each taking its share of what is still missing (MEMIT, section 4.3).

What is optimized is the state z after the last layer; layer by layer the residual stream is brought there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import Fact, UnsupportedModel, track
from obverse.editing._batched import BatchConfig, layer_edit, layer_edit_each, looked_parts, value_detail, whole_edit
from obverse.editing._rows import Looked, mlp_write
from obverse.editing.contexts import contexts
from obverse.editing.edit import Edit, stack
from obverse.editing.rowwise import EachRow
from obverse.editing.values import Value, optimize
from obverse.model.hooks import Site, capture
from obverse.model.partial import accepted
from obverse.model.tokens import Padded

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Answers = Callable[[int, Float[Tensor, "fact inner"]], Float[Tensor, "inner fact"]]
"""A method: layer and keys → the vectors A that its change answers to."""

DAMPING, STEPS = 1.0, 10
"""Of `unwritten`: damping as a share of the median gain, and steps taken."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some facts of a batch in their contexts, to be read again after a layer was changed.

    Attributes:
        padded: Rows up to their lookup token, the last column; facts in order, contexts within.
        contexts: Number of contexts.
    """

    padded: Padded
    contexts: int

    @staticmethod
    def of(looked: Looked, contexts: int) -> Part:
        """Keep what reading needs: no essence rows, nothing after the lookup tokens."""
        chosen = torch.tensor([i for i, row in enumerate(looked.rows) if row.targets], device=looked.keys.device)
        whole, end = looked.suffix.padded, looked.suffix.pivot + 1
        cut = Padded(whole.ids[chosen, :end], whole.mask[chosen, :end], whole.positions[chosen, :end])
        return Part(cut, contexts)

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self.padded.ids) // self.contexts

    def read(
        self, lm: LanguageModel, sites: Sequence[Site], upon: Sequence[Edit] = ()
    ) -> list[Float[Tensor, "fact context dim"]]:
        """Return states at the lookup tokens of the model as it is now, one tensor a site.

        With ``upon``, one edit a fact, each fact is read under its own.
        """
        inputs = {"input_ids": self.padded.ids, "attention_mask": self.padded.mask}
        inputs |= accepted(lm.model, position_ids=self.padded.positions)
        rows = [fact for fact in range(len(self)) for _ in range(self.contexts)]
        with EachRow(lm, upon).rows(rows) if upon else nullcontext():
            caught = capture(lm.model, lm.architecture, inputs, sites, stop=True)
        return [caught[site][:, -1].float().unflatten(0, (-1, self.contexts)) for site in sites]


def states_to_reach(
    lm: LanguageModel, layer: int, facts: Sequence[Fact], templates: Sequence[str], config: BatchConfig
) -> tuple[list[Part], list[Value], Float[Tensor, "fact hidden"]]:
    """Optimize z: what each fact's state after a layer should be (MEMIT, section 4.3, eq. 16).

    Returns:
        The facts' rows; one value a fact, a state or, where a norm follows the MLP's output projection, an output of
        the projection; and z.
    """
    write = mlp_write(lm, layer)
    parts: list[Part] = []
    values: list[Value] = []
    wanted: list[Tensor] = []
    for looked, label in looked_parts(lm, layer, facts, templates, config):
        states = looked.suffix.hidden[:, 0]
        # Departs from MEMIT: behind a norm only some states can be written, so z is sought among these.
        made = optimize(lm, layer, looked if _norm_follows(lm) else replace(looked, values=states), config, label)
        for value, state in zip(made, states[:: len(templates) + 1].float(), strict=True):
            before, after = (write(v.to(lm.dtype)).float() for v in (value.initial, value.target))
            wanted.append(state + after - before if _norm_follows(lm) else value.target)
        values += made
        parts.append(Part.of(looked, len(templates)))
    return parts, values, torch.stack(wanted)


def _norm_follows(lm: LanguageModel) -> bool:
    return lm.architecture.layout.mlp_write != lm.architecture.layout.mlp_out


def unwritten(
    lm: LanguageModel, layer: int, values: Float[Tensor, "fact hidden"], wanted: Float[Tensor, "fact hidden"]
) -> Float[Tensor, "fact hidden"]:
    """Return changes of the MLP projection's output that change what the MLP writes as wanted.

    Both are the same unless a norm stands between them (Gemma 2 and 3, OLMo 2). An RMS norm with gains g writes
    g · v / rms(v): of all v it reaches only an ellipsoid, so the wanted write is met as nearly as damped steps along
    the ellipsoid come to it.

    Args:
        lm: The model.
        layer: The layer.
        values: The projection's outputs now.
        wanted: What should be added to the writes.

    Raises:
        UnsupportedModel: If what stands between is no RMS norm.
    """
    write = mlp_write(lm, layer)
    if not _norm_follows(lm):
        return wanted

    def written(value: Tensor) -> Tensor:
        return write(value.to(lm.dtype)).float()

    def rms(value: Tensor) -> Tensor:
        return value.square().mean(-1, keepdim=True).sqrt()

    gains = written(torch.ones_like(values[:1]))
    now = written(values)
    if float((gains * values / rms(values) - now).norm() / now.norm()) > 0.02:
        raise UnsupportedModel(
            f"In {lm.architecture.family!r} {lm.architecture.layout.mlp_write!r} stands between the MLP's output "
            "projection and the residual stream; an RMS norm was expected there.",
            "Use rome or emmet, which optimize through whatever stands there.",
        )
    step = gains / (gains.square() + (DAMPING * gains.abs().median()) ** 2)
    found = values
    for _ in range(STEPS):
        found = found + rms(values) * step * (now + wanted - written(found))
        found = found * (rms(values) / rms(found))
    return found - values


def write_range(
    lm: LanguageModel,
    facts: Sequence[Fact],
    layers: Sequence[int],
    config: BatchConfig,
    method: str,
    answers: Answers,
) -> Edit:
    """Write facts into a range of layers, each taking its share of what is still missing (MEMIT, section 4.3, eq. 20).

    For layer i of n, ascending, the residual is R = (z - h) / (n - i) with h the state after the last layer as it is
    now; each layer is changed before the next is read.

    Raises:
        EditFailed: If an optimization diverges or nothing moved.
    """
    templates = contexts(lm, config.contexts)
    parts, values, wanted = states_to_reach(lm, layers[-1], facts, templates, config)
    details = [value_detail(fact, value, layers) for fact, value in zip(facts, values, strict=True)]
    missing: list[Tensor] = []
    edits: list[Edit] = []
    with ExitStack() as applied:
        for number, layer in enumerate(track(layers, "writing layers")):
            bare, keys, states = read_layer(lm, parts, layer, layers[-1])
            missing.append((wanted - states).norm(dim=-1))
            residuals = unwritten(lm, layer, outputs(lm, layer, bare), (wanted - states) / (len(layers) - number))
            edits.append(layer_edit(lm, layer, facts, keys, residuals, answers(layer, keys)))
            if number + 1 < len(layers):
                applied.enter_context(edits[-1].applied(lm))
    for detail, norms in zip(details, torch.stack(missing, 1).tolist(), strict=True):
        detail["missing_before_each_layer"] = norms
    return whole_edit(edits, method, config, details)


def write_range_each(
    lm: LanguageModel,
    facts: Sequence[Fact],
    layers: Sequence[int],
    config: BatchConfig,
    method: str,
    answers: Answers,
) -> list[Edit]:
    """Write each fact by an edit of its own, side by side; equal to `write_range` of each alone.

    Args:
        lm: The model; untouched.
        facts: The facts.
        layers: The layers, ascending.
        config: Settings.
        method: Name of the editor.
        answers: Column i of what it gives is the answer to key i where fact i is the only one.

    Raises:
        EditFailed: If an optimization diverges or an edit moves nothing.
    """
    if not facts:
        return []
    templates = contexts(lm, config.contexts)
    parts, values, wanted = states_to_reach(lm, layers[-1], facts, templates, config)
    missing: list[Tensor] = []
    edits: list[list[Edit]] = []
    for number, layer in enumerate(track(layers, "writing layers")):
        upon = [stack(below) for below in zip(*edits, strict=True)]
        bare, keys, states = read_layer(lm, parts, layer, layers[-1], upon)
        missing.append((wanted - states).norm(dim=-1))
        residuals = unwritten(lm, layer, outputs(lm, layer, bare), (wanted - states) / (len(layers) - number))
        edits.append(layer_edit_each(lm, layer, facts, keys, residuals, answers(layer, keys)))
    return [
        whole_edit(
            own,
            method,
            config,
            [{**value_detail(fact, value, layers), "missing_before_each_layer": norms}],
        )
        for own, fact, value, norms in zip(
            zip(*edits, strict=True), facts, values, torch.stack(missing, 1).tolist(), strict=True
        )
    ]


def read_layer(
    lm: LanguageModel, parts: Sequence[Part], layer: int, last: int, upon: Sequence[Edit] = ()
) -> tuple[Float[Tensor, "fact inner"], Float[Tensor, "fact inner"], Float[Tensor, "fact hidden"]]:
    """Return bare keys, mean keys and bare states after the last layer, of the model as it is now.

    In the mean the bare prompt weighs as much as all other contexts together (MEMIT's program). With ``upon``, one
    edit a fact, each fact is read under its own.
    """
    ends = list(accumulate(map(len, parts)))
    read = [
        part.read(lm, (Site(layer, "key"), Site(last, "hidden")), upon[end - len(part) : end])
        for part, end in zip(parts, ends, strict=True)
    ]
    keys, states = (torch.cat(tensors) for tensors in zip(*read, strict=True))
    mean = (keys[:, 0] + keys[:, 1:].mean(1)) / 2 if keys.shape[1] > 1 else keys[:, 0]
    return keys[:, 0], mean, states[:, 0]


@torch.no_grad()
def outputs(lm: LanguageModel, layer: int, keys: Float[Tensor, "fact inner"]) -> Float[Tensor, "fact hidden"]:
    """Return what a layer's MLP output projection makes of keys, edits applied by hook included."""
    return lm.model.get_submodule(lm.architecture.mlp_out(layer))(keys.to(lm.dtype)).float()
