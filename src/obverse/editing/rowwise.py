"""Many edits of one model at once: each row of a batch is answered by the model as another edit makes it.

A change of weights added to a module's output touches no weight, so it can differ from row to row: thousands of single
edits are verified in a few large batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from obverse.editing.edit import Dense, Edit, LowRank, adder
from obverse.model.hooks import intervene

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Changed = Callable[[Tensor, Tensor, Sequence[int | None]], Tensor]
"""(inputs, output, which edit each row carries), the tensors as (batch, pos, dim) → the new output."""


class EachRow:
    """A model whose batches hold rows of several edits.

    Example:
        ::

            edited = EachRow(lm, edits)
            with edited.rows([0, 0, 1, None]):  # two rows of the first edit, one of the second, one unedited
                logits = lm.model(input_ids=ids).logits

    An edit by prompt changes no weight: whoever asks puts its ``prefix`` before the texts of its rows.

    Args:
        lm: The base model; untouched.
        edits: The edits.

    Raises:
        EditMismatch: If one was made for another model.
    """

    def __init__(self, lm: LanguageModel, edits: Sequence[Edit]) -> None:
        for edit in edits:
            edit.check(lm)
        self._lm = lm
        names = dict.fromkeys(name for edit in edits for name in edit.deltas)
        self._changed: dict[str, Changed] = {name: self._change(name, edits) for name in names}

    @contextmanager
    def rows(self, indices: Sequence[int | None]) -> Iterator[None]:
        """Let row i of every batch carry edit ``indices[i]`` while the context is open; None leaves it unedited."""
        n = len(indices)

        def hook(change: Changed) -> Callable[[Tensor, Tensor], Tensor]:
            # OPT flattens batch and position before its MLP
            return lambda inputs, output: change(
                inputs.reshape(n, -1, inputs.shape[-1]), output.reshape(n, -1, output.shape[-1]), indices
            ).reshape(output.shape)

        with intervene(self._lm.model, {name: hook(change) for name, change in self._changed.items()}):
            yield

    def _change(self, name: str, edits: Sequence[Edit]) -> Changed:
        weight = self._lm.weight_of(name)
        deltas = [edit.deltas.get(name) for edit in edits]
        if any(isinstance(delta, Dense) for delta in deltas):
            return _one_by_one([adder(d, weight.device, self._lm.dtype) if d else None for d in deltas])
        low = [delta for delta in deltas if isinstance(delta, LowRank)]
        rank = max(delta.left.shape[1] for delta in low)
        # One more than there are edits: the last stands for no edit.
        left = low[0].left.new_zeros(len(edits) + 1, low[0].left.shape[0], rank)
        right = low[0].right.new_zeros(len(edits) + 1, low[0].right.shape[0], rank)
        for i, delta in enumerate(deltas):
            if isinstance(delta, LowRank):
                left[i, :, : delta.left.shape[1]] = delta.left
                right[i, :, : delta.right.shape[1]] = delta.right
        return _together(left.to(weight.device, self._lm.dtype), right.to(weight.device, self._lm.dtype))


def _together(left: Tensor, right: Tensor) -> Changed:
    last = len(left) - 1

    def change(inputs: Tensor, output: Tensor, indices: Sequence[int | None]) -> Tensor:
        chosen = torch.tensor([last if i is None else i for i in indices], device=inputs.device)
        return output + torch.bmm(torch.bmm(inputs, right[chosen]), left[chosen].mT)

    return change


def _one_by_one(adders: Sequence[Callable[[Tensor, Tensor], Tensor] | None]) -> Changed:
    """Full matrices are too large to be gathered for each row; rows of one edit go through its matrix together."""

    def change(inputs: Tensor, output: Tensor, indices: Sequence[int | None]) -> Tensor:
        changed = output.clone()
        for index in dict.fromkeys(indices):
            add = adders[index] if index is not None else None
            if add is not None:
                rows = torch.tensor([i for i, own in enumerate(indices) if own == index], device=inputs.device)
                changed[rows] = add(inputs[rows], output[rows])
        return changed

    return change
