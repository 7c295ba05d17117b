"""Train many changes side by side, one a fact: each row of a batch is run with its own change.

The changes share nothing but the passes of the model. Each has its own loss, its own gradient (the losses are summed,
not averaged), its own Adam state and its own end, so it becomes what it would become alone. A fact that is done leaves
the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from obverse.core import Fact, Progress
from obverse.editing._fit import FitConfig, Fitted, Trained, descend, lowest_layer
from obverse.editing._fit_rows import Question, batch, losses, questions
from obverse.editing.edit import Delta, LowRank, adder

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

MEMORY = 2**30
"""Bytes that the changes trained side by side may take, with what training keeps for each."""

COPIES = 4
"""Numbers kept for each entry of a change while it is trained: itself, its gradient and Adam's two moments."""


def fit_each(
    lm: LanguageModel, facts: Sequence[Fact], start: Callable[[], Trained], config: FitConfig
) -> Iterator[tuple[int, Trained, Fitted]]:
    """Train one change a fact, each on its fact alone, as many side by side as memory allows.

    Args:
        lm: The model; untouched.
        facts: The facts.
        start: Makes what is trained for one fact.
        config: Settings; no more facts than ``batch_size`` are trained side by side.

    Yields:
        Number of the fact, what was trained for it and how that went; facts of like length follow each other.

    Raises:
        EditFailed: If a loss is not a number.
    """
    asked = questions(lm, facts, config.loss)
    order = sorted(range(len(facts)), key=lambda i: len(asked[i].ids))  # so that few columns are padding
    with Progress("training side by side", len(facts)) as progress:
        while order:
            first = start()
            size = min(config.batch_size, _fitting(first))
            group, order = order[:size], order[size:]
            changes = [first, *(start() for _ in group[1:])]
            fitted = _side_by_side(lm, [asked[i] for i in group], changes, config, progress)
            yield from zip(group, changes, fitted, strict=True)


def _fitting(trained: Trained) -> int:
    each = COPIES * sum(tensor.numel() * tensor.element_size() for tensor in trained.tensors)
    return max(1, MEMORY // each)


def _side_by_side(
    lm: LanguageModel, asked: Sequence[Question], changes: Sequence[Trained], config: FitConfig, progress: Progress
) -> list[Fitted]:
    rows = batch(lm, asked, lowest_layer(lm, changes[0].deltas()))
    adam = torch.optim.Adam([tensor for one in changes for tensor in one.tensors], lr=config.learning_rate)
    history: list[list[float]] = [[] for _ in asked]
    active = list(range(len(asked)))
    for _ in range(config.steps):
        with torch.enable_grad():
            found = losses(lm, rows, by_row(lm, [changes[i].deltas() for i in active]))
        for i, loss in zip(active, found.detach().tolist(), strict=True):
            history[i].append(loss)
        going = [place for place, i in enumerate(active) if history[i][-1] >= config.stop_loss]
        progress.advance(len(active) - len(going), f"loss {float(found.detach().max()):.2f}")
        if not going:
            break
        stepping = [changes[active[place]] for place in going]
        tensors = [tensor for one in stepping for tensor in one.tensors]
        with torch.enable_grad():
            total = found[going].sum()
        descend(adam, stepping, torch.autograd.grad(total, tensors), config.weight_decay)
        if len(going) < len(active):
            rows, active = rows.select(going), [active[place] for place in going]
    else:
        progress.advance(len(active))
    return [Fitted(tuple(each), tuple(each[-1:])) for each in history]


def by_row(lm: LanguageModel, deltas: Sequence[Mapping[str, Delta]]) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Return for each module the function from its (input, output) to what it gives if row i has change i.

    Args:
        lm: The model.
        deltas: The changes of each row, by module name; all have the same modules.
    """
    return {name: _rows(lm, name, [row[name] for row in deltas]) for name in deltas[0]}


def _rows(lm: LanguageModel, name: str, deltas: Sequence[Delta]) -> Callable[[Tensor, Tensor], Tensor]:
    device, n = lm.weight_of(name).device, len(deltas)
    if n == 1:
        return adder(deltas[0], device, lm.dtype)
    low = [delta for delta in deltas if isinstance(delta, LowRank)]
    if len(low) == n:
        left = torch.stack([delta.left for delta in low]).to(device, lm.dtype)
        right = torch.stack([delta.right for delta in low]).to(device, lm.dtype)
        change = lambda inputs, output: output + torch.bmm(torch.bmm(inputs, right), left.mT)  # noqa: E731
    else:
        # Full matrices are not stacked: that would copy them all.
        adders = [adder(delta, device, lm.dtype) for delta in deltas]
        change = lambda inputs, output: torch.stack(  # noqa: E731
            [add(*row) for add, *row in zip(adders, inputs, output, strict=True)]
        )
    # OPT flattens batch and position before its MLP
    return lambda inputs, output: change(
        inputs.reshape(n, -1, inputs.shape[-1]), output.reshape(n, -1, output.shape[-1])
    ).reshape(output.shape)
