"""Run only what must be run: blocks from a given layer on, positions after an unchanged prefix, logits where asked.

What lies below a layer and left of a token does not depend on a change at that layer and token. A `Suffix` keeps the
states that the change meets, and the keys and values of the unchanged prefix in every block above:

        column      0 .. pivot-1          pivot .. end
        blocks      keys and values       run again at each call
        above       kept                  on the states given
        the layer
        blocks      (never run again)     states kept in `hidden`
        below

Rows are shifted so that their pivots stand in one column. The law: ``logits(suffix.hidden)`` equals the full forward.

The model's own forward is used, so masks, positions, norms and soft-capping are the family's: blocks that need not run
are passed through, the last of them hands on the states given, and the head sees only the positions asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from obverse.model.hooks import first_tensor, replace_input
from obverse.model.tokens import Padded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from obverse.model.architecture import Architecture


class Passed(nn.Module):
    """Stands in for a block that need not run: gives its input, or the states it was given, as the block would.

    Args:
        block: The block.
        as_tuple: Whether it gives a tuple.
        states: What to give in place of the input.
    """

    def __init__(self, block: nn.Module, as_tuple: bool, states: Tensor | None) -> None:
        super().__init__()
        object.__setattr__(self, "_block", block)
        self._as_tuple = as_tuple
        object.__setattr__(self, "_states", states)

    def __getattr__(self, name: str) -> Any:
        # Decoders read settings off their blocks, such as the kind of attention.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_block"), name)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        """Give the states."""
        states = hidden_states if self._states is None else self._states
        return (states,) if self._as_tuple else states


@dataclass(frozen=True, slots=True)
class Rows:
    """Which states the head should see: ``rows[i]`` and ``columns[i]`` of the i-th, columns counted from the pivot."""

    rows: Int[Tensor, " read"]
    columns: Int[Tensor, " read"]


@dataclass(frozen=True, slots=True)
class Suffix:
    """A batch that can be run again from one layer and one column on.

    Attributes:
        layer: The first block that runs.
        pivot: The first column that runs; columns before it are the unchanged prefix.
        padded: The whole rows.
        hidden: Input of block `layer` at the columns from the pivot on, (batch, suffix, hidden).
        keys: Keys of the prefix in each block from `layer` on, (batch, head, pivot, head size).
        values: Values of the prefix, likewise.
        as_tuple: Whether this family's blocks give tuples.
    """

    layer: int
    pivot: int
    padded: Padded
    hidden: Float[Tensor, "batch suffix hidden"]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    as_tuple: bool

    def select(self, rows: Int[Tensor, " chosen"], columns: int | None = None) -> Suffix:
        """Return the suffix with some of its rows only.

        Args:
            rows: The rows.
            columns: How many columns to keep, counted from the pivot; by default all.
        """
        end = None if columns is None else self.pivot + columns
        whole = self.padded
        return Suffix(
            self.layer,
            self.pivot,
            Padded(whole.ids[rows, :end], whole.mask[rows, :end], whole.positions[rows, :end]),
            self.hidden[rows, :columns],
            tuple(k[rows] for k in self.keys),
            tuple(v[rows] for v in self.values),
            self.as_tuple,
        )


def accepted(model: PreTrainedModel, **arguments: Any) -> dict[str, Any]:
    """Return the arguments that this family's forward pass knows."""
    # BLOOM and Falcon with ALiBi take no positions; their distances come from the mask.
    known = signature(model.forward).parameters
    return {name: value for name, value in arguments.items() if name in known}


@contextmanager
def head_sees(model: PreTrainedModel, rows: Int[Tensor, " read"], columns: Int[Tensor, " read"]) -> Iterator[None]:
    """Let the vocabulary projection see only the chosen states; the logits come back as (1, read, vocab)."""
    head = cast(nn.Module, model.get_output_embeddings())
    with replace_input(head, lambda states: states[rows, columns][None]):
        yield


@torch.no_grad()
def prepare(
    model: PreTrainedModel, architecture: Architecture, padded: Padded, layer: int, pivot: int, read: Rows | None = None
) -> tuple[Suffix, Float[Tensor, "read vocab"] | None]:
    """Run a batch once in full and keep what later partial runs need.

    Args:
        model: The model.
        architecture: Its map.
        padded: The rows, their pivots in one column.
        layer: First block of the partial runs, from 0 to the number of blocks (then only norm and head run).
        pivot: First column of the partial runs.
        read: States whose logits are wanted too, columns counted from the pivot.

    Returns:
        The suffix, and the logits at `read` if given.

    Raises:
        UnsupportedModel: If the layer is out of range.
    """
    blocks = _blocks(model, architecture)
    if layer != len(blocks):
        architecture.block(layer)
    cache = DynamicCache()
    caught: dict[str, Any] = {}

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught["hidden"] = (args[0] if args else kwargs["hidden_states"])[:, pivot:].clone()

    def after(_: nn.Module, __: Any, output: Any) -> None:
        caught["tuple"] = isinstance(output, tuple)
        if layer == len(blocks):
            caught["hidden"] = first_tensor(output)[:, pivot:].clone()

    columns = torch.zeros(1, dtype=torch.long, device=padded.ids.device)
    where = Rows(read.rows, read.columns + pivot) if read else Rows(columns, columns)
    with ExitStack() as stack:
        if layer < len(blocks):
            stack.callback(blocks[layer].register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(blocks[-1].register_forward_hook(after).remove)
        stack.enter_context(head_sees(model, where.rows, where.columns))
        arguments = accepted(model, position_ids=padded.positions)
        output = model(
            input_ids=padded.ids, attention_mask=padded.mask, past_key_values=cache, use_cache=True, **arguments
        )
    # A padded query sees no key; what it leaves in the cache is masked but may be NaN, and 0 * NaN is NaN.
    gaps = (padded.mask[:, :pivot] == 0)[:, None, :, None]

    def prefix(states: Tensor) -> Tensor:
        return states[:, :, :pivot].masked_fill(gaps.to(states.device), 0)

    above: list[Any] = cache.layers[layer:]
    keys, values = tuple(prefix(entry.keys) for entry in above), tuple(prefix(entry.values) for entry in above)
    suffix = Suffix(layer, pivot, padded, caught["hidden"], keys, values, caught["tuple"])
    return suffix, output.logits[0] if read else None


def _prefix_cache(suffix: Suffix) -> DynamicCache:
    cache = DynamicCache()
    batch = suffix.hidden.shape[0]
    blank = suffix.hidden.new_zeros(1, 1, 1, 1).expand(batch, 1, suffix.pivot, 1)
    for layer in range(suffix.layer):
        cache.update(blank, blank, layer)  # never read; tells the decoder how long the prefix is
    for i, (keys, values) in enumerate(zip(suffix.keys, suffix.values, strict=True)):
        cache.update(keys, values, suffix.layer + i)
    return cache


def logits(
    model: PreTrainedModel,
    architecture: Architecture,
    suffix: Suffix,
    hidden: Float[Tensor, "batch suffix hidden"],
    read: Rows,
) -> Float[Tensor, "read vocab"]:
    """Run the blocks of a suffix on given states; gradients flow to the states.

    Args:
        model: The model.
        architecture: Its map.
        suffix: What was kept by `prepare`.
        hidden: Input of block `suffix.layer` at the columns from the pivot on.
        read: The states whose logits are wanted, columns counted from the pivot.
    """
    blocks = _blocks(model, architecture)
    pivot = suffix.pivot
    with ExitStack() as stack:
        stack.enter_context(_passing(blocks, suffix.layer, suffix.as_tuple, hidden))
        if suffix.layer == 0:
            stack.enter_context(replace_input(blocks[0], lambda _: hidden))
        stack.enter_context(head_sees(model, read.rows, read.columns))
        arguments = accepted(model, position_ids=suffix.padded.positions[:, pivot:])
        output = model(
            inputs_embeds=_embeddings_like(model, hidden),
            attention_mask=suffix.padded.mask,
            past_key_values=_prefix_cache(suffix) if pivot else DynamicCache(),
            use_cache=True,
            **arguments,
        )
    return output.logits.squeeze(0)  # an index would copy them once more in the backward pass


def gives_tuples(model: PreTrainedModel, architecture: Architecture) -> bool:
    """Return whether this family's blocks give tuples, which only a run can tell."""
    ids = torch.zeros(1, 1, dtype=torch.long, device=next(model.get_input_embeddings().parameters()).device)
    suffix, _ = prepare(model, architecture, Padded(ids, torch.ones_like(ids), ids), architecture.n_layers, 0)
    return suffix.as_tuple


@torch.no_grad()
def head_logits(
    model: PreTrainedModel, architecture: Architecture, states: Float[Tensor, "row hidden"], as_tuple: bool
) -> Float[Tensor, "row vocab"]:
    """Return the logits that states after the last block lead to, by the model's own final norm and head.

    Args:
        model: The model.
        architecture: Its map.
        states: Outputs of the last block.
        as_tuple: Whether this family's blocks give tuples.
    """
    blocks = _blocks(model, architecture)
    alone = states[:, None]
    with _passing(blocks, len(blocks), as_tuple, alone):
        return model(inputs_embeds=_embeddings_like(model, alone), use_cache=False).logits[:, 0]


def _blocks(model: PreTrainedModel, architecture: Architecture) -> nn.ModuleList:
    return cast(nn.ModuleList, model.get_submodule(architecture.blocks))


def _embeddings_like(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    # The decoder takes shape, type and device from these; their content never reaches a block that runs.
    width = next(model.get_input_embeddings().parameters()).shape[1]
    return hidden.detach()[..., :1].expand(*hidden.shape[:-1], width)


@contextmanager
def _passing(blocks: nn.ModuleList, layer: int, as_tuple: bool, states: Tensor) -> Iterator[None]:
    own = list(blocks)
    try:
        for i in range(layer):
            blocks._modules[str(i)] = Passed(own[i], as_tuple, states if i == layer - 1 else None)
        yield
    finally:
        for i in range(layer):
            blocks._modules[str(i)] = own[i]
