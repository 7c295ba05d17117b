"""Rows that begin at different layers, run together from the first of them to the last block.

A state that is changed at layer l and token t changes only what lies above l and from t on. Many such changes, each at
a layer of its own, climb through the blocks as one batch that grows on the way:

        block 5     rows that began at 1, 3 and 5
        block 4     rows that began at 1 and 3
        block 3     rows that began at 1 and 3
        block 2     rows that began at 1

Each row continues a run that was made before (`Prefix`): its tokens left of the change are those of that run, and their
keys and values are taken from there. Law: a row's last state equals that of a full forward with the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from obverse.model.hooks import first_tensor, intervene, replace_input
from obverse.model.partial import Passed, accepted
from obverse.model.tokens import Padded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from obverse.model.architecture import Architecture

Begin = Callable[[int, Tensor | None], Tensor]
"""Function of (block, states of the rows that run already, (n, suffix, hidden), None if there are none) that gives the
states, (m, suffix, hidden), of the rows that begin before this block (or, at the number of blocks, after the last)."""


class _Done(Exception):
    """Not an error: the last block has run, and nobody needs what would follow."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What earlier runs leave for the ones that continue them.

    Attributes:
        padded: Their tokens; all rows end in the same column.
        keys: Keys of each block, (row, head, pos, head size); gaps are 0.
        values: Values, likewise.
        as_tuple: Whether this family's blocks give tuples.
    """

    padded: Padded
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    as_tuple: bool

    @classmethod
    def of(cls, cache: DynamicCache, padded: Padded, rows: slice, as_tuple: bool) -> Prefix:
        """Take some rows of a cache that a forward pass over ``padded`` has filled."""
        # A padded query sees no key; what it leaves in the cache is masked but may be NaN, and 0 * NaN is NaN.
        gaps = (padded.mask[rows] == 0)[:, None, :, None]
        own = Padded(padded.ids[rows], padded.mask[rows], padded.positions[rows])
        layers: list[Any] = cache.layers

        def kept(states: Tensor) -> Tensor:
            return states[rows].masked_fill(gaps.to(states.device), 0) if bool(gaps.any()) else states[rows].clone()

        keys, values = (tuple(kept(getattr(one, name)) for one in layers) for name in ("keys", "values"))
        return cls(own, keys, values, as_tuple)


@torch.no_grad()
def climb(
    model: PreTrainedModel,
    architecture: Architecture,
    prefix: Prefix,
    pivot: int,
    rows: Int[Tensor, " row"],
    counts: Sequence[int],
    begin: Begin,
) -> Float[Tensor, "row hidden"]:
    """Run rows from where each begins to the last block.

    Args:
        model: The model; interventions that are open apply.
        architecture: Its map.
        prefix: The runs that the rows continue.
        pivot: First column that the rows compute; columns before it are the prefix's.
        rows: For each row, in the order in which they begin, the row of the prefix that it continues.
        counts: How many rows begin before each block, and after the last: one number more than there are blocks.
        begin: Gives the states of the rows that begin.

    Returns:
        The last block's output at the last column.
    """
    blocks = cast(nn.ModuleList, model.get_submodule(architecture.blocks))
    own = list(blocks)
    first = next(i for i, count in enumerate(counts) if count)
    climbing = _Climbing(prefix, pivot, rows, counts, begin)
    if first < len(own):
        try:
            for i, block in enumerate(own):
                stand_in = Passed(block, prefix.as_tuple, None) if i < first else _Stage(block, i, climbing)
                blocks._modules[str(i)] = stand_in
            _run(model, climbing)
        finally:
            for i, block in enumerate(own):
                blocks._modules[str(i)] = block
    climbing.join(len(own))
    return climbing.states[:, -1]


def _run(model: PreTrainedModel, climbing: _Climbing) -> None:
    padded, pivot, rows = climbing.prefix.padded, climbing.pivot, climbing.rows
    embedding = next(model.get_input_embeddings().parameters())
    # The decoder takes shape, type and device from these; their content never reaches a block that runs.
    blank = embedding.new_zeros(1, 1, 1).expand(len(rows), padded.ids.shape[1] - pivot, embedding.shape[1])
    positions = accepted(model, position_ids=padded.positions[rows, pivot:])
    with suppress(_Done):
        model(
            inputs_embeds=blank,
            attention_mask=padded.mask[rows],
            past_key_values=climbing.cache,
            use_cache=True,
            **positions,
        )


class _Climbing:
    """The rows on their way up."""

    def __init__(self, prefix: Prefix, pivot: int, rows: Tensor, counts: Sequence[int], begin: Begin) -> None:
        self.prefix, self.pivot, self.rows, self.counts, self.begin = prefix, pivot, rows, counts, begin
        self.cache = DynamicCache()
        self._states: Tensor | None = None
        if pivot:
            blank = prefix.keys[0].new_zeros(1, 1, 1, 1).expand(len(rows), 1, pivot, 1)
            for layer in range(len(prefix.keys)):
                self.cache.update(blank, blank, layer)  # tells the decoder how long the prefix is

    @property
    def states(self) -> Tensor:
        """The rows that run so far, (n, suffix, hidden)."""
        assert self._states is not None
        return self._states

    @states.setter
    def states(self, states: Tensor) -> None:
        self._states = states

    def join(self, layer: int) -> None:
        """Take in the rows that begin before a block."""
        if self.counts[layer]:
            new = self.begin(layer, self._states)
            self._states = new if self._states is None else torch.cat([self._states, new.to(self._states.device)])

    @contextmanager
    def prefix_of(self, layer: int) -> Iterator[None]:
        """Lend a block the keys and values of the columns before the pivot."""
        if not self.pivot:
            yield
            return
        entry: Any = self.cache.layers[layer]
        keys, values = self.prefix.keys[layer], self.prefix.values[layer]
        rows = self.rows[: len(self.states)].to(keys.device)
        entry.keys, entry.values = keys[rows, :, : self.pivot], values[rows, :, : self.pivot]
        yield
        entry.keys = entry.values = keys.new_zeros(0)  # what the block added is not needed again

    def for_rows(self, name: str, value: Any) -> Any:
        """Return what the decoder made for all rows, cut to those that run so far."""
        if isinstance(value, tuple):
            return tuple(self.for_rows(name, one) for one in value)
        if not isinstance(value, Tensor) or value.ndim < 2:
            return value
        n, total = len(self.states), len(self.rows)
        if name == "alibi":  # of BLOOM and Falcon, one entry a row and head; MPT's "position_bias" is for all rows
            return value[: n * (value.shape[0] // total)]
        return value[:n] if value.shape[0] == total and name != "position_bias" else value


class _Stage(Passed):
    """A block that takes in the rows that begin at it, and runs all there are so far."""

    def __init__(self, block: nn.Module, layer: int, climbing: _Climbing) -> None:
        super().__init__(block, climbing.prefix.as_tuple, None)
        object.__setattr__(self, "_layer", layer)
        object.__setattr__(self, "_climbing", climbing)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the block on the rows; its input as the decoder gives it does not count."""
        get = object.__getattribute__
        block, layer, climbing = get(self, "_block"), get(self, "_layer"), get(self, "_climbing")
        climbing.join(layer)
        with climbing.prefix_of(layer):
            given = [climbing.for_rows("", one) for one in args]
            named = {name: climbing.for_rows(name, one) for name, one in kwargs.items()}
            output = block(climbing.states, *given, **named)
        climbing.states = first_tensor(output)
        if layer == len(climbing.counts) - 2:
            raise _Done
        return output


def mlp_module(model: PreTrainedModel, architecture: Architecture, layer: int) -> str | None:
    """Return the name of the module that is a block's whole MLP, token by token; None where there is no such module."""
    if architecture.layout.mlp_out is None:
        return None
    name = architecture.mlp_out(layer).rpartition(".")[0]
    if name == architecture.block(layer):
        return None  # OPT's MLP is part of the block
    # BLOOM's takes the residual stream too.
    return name if len(signature(model.get_submodule(name).forward).parameters) == 1 else None


@contextmanager
def mlp_sees(
    model: PreTrainedModel, architecture: Architecture, layer: int, chosen: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Let a block's MLP compute only some tokens, while the context is open; the others get zeros.

    For tokens whose MLP output is replaced or not needed. Where a family has no module for it, all are computed.

    Args:
        model: The model.
        architecture: Its map.
        layer: The block.
        chosen: Function of the states that go in, (row, pos, hidden), that gives a mask of the tokens wanted,
            (row, pos), or None for all.
    """
    name = mlp_module(model, architecture, layer)
    if name is None:
        yield
        return
    masks: list[Tensor | None] = []

    def gather(states: Tensor) -> Tensor:
        masks.append(chosen(states) if states.ndim == 3 else None)
        return states if masks[-1] is None else states[masks[-1]][None]

    def scatter(_: Tensor, output: Tensor) -> Tensor:
        mask = masks.pop()
        if mask is None:
            return output
        full = output.new_zeros(*mask.shape, output.shape[-1])
        full[mask] = output[0]
        return full

    with replace_input(model.get_submodule(name), gather), intervene(model, {name: scatter}):
        yield
