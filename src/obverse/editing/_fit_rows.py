"""What a model is asked while it is trained: rows of tokens, and how well it says what should follow.

What lies below the lowest layer that is trained never changes, so its states are kept, and only the blocks above are
run again (`model.partial`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from obverse.core import EditFailed, Fact
from obverse.model.hooks import intervene
from obverse.model.partial import Rows, Suffix, head_sees, logits, prepare
from obverse.model.tokens import Padded, join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Loss = Literal["bag", "sequence"]
"""How a target of several tokens is asked for: all its tokens at the prompt's last position, in no order, as ROME's
fine-tuning baselines do (`bag`), or each at its own position after the ones before it (`sequence`). The two are the
same for a target of one token."""


@dataclass(frozen=True, slots=True)
class Question:
    """One fact as a row of tokens.

    Attributes:
        ids: Tokens of the row; none after the last state that is read.
        reads: Columns of the states that are read.
        targets: (which of the states, token that should follow it).
    """

    ids: tuple[int, ...]
    reads: tuple[int, ...]
    targets: tuple[tuple[int, int], ...]


def questions(lm: LanguageModel, facts: Sequence[Fact], loss: Loss) -> list[Question]:
    """Return the row of each fact."""
    out: list[Question] = []
    for row in join_all(lm.tokenizer, [(fact.text, fact.target) for fact in facts]):
        ids, start = row.encoded.ids, row.target.start
        reads = (start - 1,) if loss == "bag" else tuple(place - 1 for place in row.target)
        targets = tuple((0 if loss == "bag" else i, ids[place]) for i, place in enumerate(row.target))
        out.append(Question(ids[: reads[-1] + 1], reads, targets))
    return out


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are run together, one a fact.

    Attributes:
        asked: What each row asks.
        padded: The rows; all start in column 0.
        suffix: What a run from the lowest trained layer on needs; None where that is the first.
        read: The states that are read, rows in order.
        targets: Number of the state, token that should follow it, and number of the row.
        weights: Weight of each target in its row's loss; they sum to 1.
    """

    asked: tuple[Question, ...]
    padded: Padded
    suffix: Suffix | None
    read: Rows
    targets: Int[Tensor, "3 token"]
    weights: Float[Tensor, " token"]

    def select(self, rows: Sequence[int]) -> Batch:
        """Return the batch with some of its rows only, no wider than they are."""
        asked = [self.asked[row] for row in rows]
        width = max(len(one.ids) for one in asked)
        index = torch.tensor(list(rows), device=self.padded.ids.device)
        parts = (self.padded.ids, self.padded.mask, self.padded.positions)
        padded = Padded(*(part[index, :width] for part in parts))
        if self.suffix is None:
            return _batch(asked, padded, None)
        chosen = self.suffix.select(index)
        return _batch(asked, padded, replace(chosen, padded=padded, hidden=chosen.hidden[:, :width]))


def batch(lm: LanguageModel, asked: Sequence[Question], layer: int) -> Batch:
    """Put rows together, and run the model once as far as it stays as it is.

    Args:
        lm: The model.
        asked: The rows.
        layer: The lowest layer that is trained; what is below is kept.
    """
    padded = pad([one.ids for one in asked], pad_id(lm.tokenizer), lm.device)
    suffix = prepare(lm.model, lm.architecture, padded, layer, 0)[0] if layer else None
    return _batch(asked, padded, suffix)


def _batch(asked: Sequence[Question], padded: Padded, suffix: Suffix | None) -> Batch:
    read: list[tuple[int, int]] = []
    targets: list[tuple[int, int, int]] = []
    for row, one in enumerate(asked):
        targets += [(len(read) + state, token, row) for state, token in one.targets]
        read += [(row, column) for column in one.reads]
    device = padded.ids.device
    rows, columns = torch.tensor(read, device=device).T
    return Batch(
        asked=tuple(asked),
        padded=padded,
        suffix=suffix,
        read=Rows(rows, columns),
        targets=torch.tensor(targets, device=device).T,
        weights=torch.tensor([1 / len(asked[row].targets) for *_, row in targets], device=device),
    )


def losses(
    lm: LanguageModel, rows: Batch, changes: Mapping[str, Callable[[Tensor, Tensor], Tensor]]
) -> Float[Tensor, " row"]:
    """Return each row's mean of -log p over its target's tokens, in nats.

    Args:
        lm: The model.
        rows: The rows.
        changes: Module name → function from the module's (input, output) to the output of the changed module.

    Raises:
        EditFailed: If a loss is not a number.
    """
    with intervene(lm.model, changes):
        logprobs = _logits(lm, rows).float().log_softmax(-1)
    state, token, row = rows.targets.to(logprobs.device)
    nll = -logprobs[state, token] * rows.weights.to(logprobs.device)
    found = nll.new_zeros(len(rows.asked)).index_add(0, row, nll)
    wrong = ~found.detach().isfinite()
    if wrong.any():
        raise EditFailed(
            f"The loss became {float(found.detach()[wrong][0])}; the edit was given up; the model is untouched.",
            "Lower the learning rate (--set learning_rate=0.0001), or check the model's weights for NaN.",
        )
    return found


def _logits(lm: LanguageModel, rows: Batch) -> Float[Tensor, "read vocab"]:
    if rows.suffix is not None:
        return logits(lm.model, lm.architecture, rows.suffix, rows.suffix.hidden, rows.read)
    with head_sees(lm.model, rows.read.rows, rows.read.columns):
        output = lm.model(input_ids=rows.padded.ids, attention_mask=rows.padded.mask, use_cache=False)
    return output.logits[0]
