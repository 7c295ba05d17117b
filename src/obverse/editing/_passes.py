"""Which rows of which facts are run together while values are optimized.

Rows of one pass are padded to the longest, so facts of like length go together; rows whose states are another row's are
not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from obverse.editing._rows import Looked, Row
from obverse.model.partial import Rows, Suffix

LOGITS = 2**25
"""Most logits of one pass, reads times words: with more, memory grows and speed does not."""

PASS = 100
"""What a pass costs beside its tokens, in tokens: weights are read once more."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The rows of some facts that are run together, and what their losses need.

    Attributes:
        facts: The facts, by number.
        suffix: Their rows, ready to be run again above the layer.
        edited: Lets each row carry the edit its fact is written upon.
        values: Output of the layer's MLP projection at the lookup tokens.
        clean_write: What the MLP writes there.
        row_fact: Of each row the place of its fact in `facts`.
        read: The states to read: those with a target first, then one of each fact's essence in the order of `facts`.
        read_fact: Of each read with a target the place of its fact in `facts`.
        targets: The target tokens.
        weights: Weight of each target in its fact's mean.
        reference: Log-probabilities after the essence prompt before any change.
    """

    facts: tuple[int, ...]
    suffix: Suffix
    edited: Callable[[], AbstractContextManager[None]]
    values: Float[Tensor, "row hidden"]
    clean_write: Float[Tensor, "row hidden"]
    row_fact: Int[Tensor, " row"]
    read: Rows
    read_fact: Int[Tensor, " asked"]
    targets: Int[Tensor, " asked"]
    weights: Float[Tensor, " asked"]
    reference: Float[Tensor, "fact vocab"]


def divided(looked: Looked, facts: Sequence[int], write: Callable[[Tensor], Tensor], essence: bool) -> list[Pass]:
    """Divide facts into passes: few, yet each of rows of like length.

    Of all divisions of the facts, sorted by their longest row, that with the least tokens, padding included, where a
    pass costs `PASS` tokens more.

    Args:
        looked: The rows of all facts.
        facts: The facts to run, by number.
        write: What the MLP writes of its projection's output.
        essence: Whether the essence prompts are to be run.
    """
    rows = _rows_to_run(looked.rows, facts, essence)
    width = {fact: max(_width(looked.rows[i]) for i in own) for fact, own in rows.items()}
    words = {fact: sum(len(looked.rows[i].reads) for i in own) * looked.initial.shape[-1] for fact, own in rows.items()}
    ordered = sorted(facts, key=lambda fact: (width[fact], fact))
    best: list[tuple[int, int]] = [(0, 0)]  # for the first n facts: tokens, and where the last pass starts
    for n in range(1, len(ordered) + 1):
        n_rows = n_words = 0
        found: list[tuple[int, int]] = []
        for start in range(n - 1, -1, -1):
            n_rows, n_words = n_rows + len(rows[ordered[start]]), n_words + words[ordered[start]]
            if n_words > LOGITS and found:
                break
            found.append((best[start][0] + PASS + n_rows * width[ordered[n - 1]], start))
        best.append(min(found))
    passes, end = list[Pass](), len(ordered)
    while end:
        group = ordered[best[end][1] : end]
        passes.append(_pass(looked, {fact: rows[fact] for fact in group}, write, essence))
        end = best[end][1]
    return passes


def _rows_to_run(rows: Sequence[Row], facts: Sequence[int], essence: bool) -> dict[int, list[int]]:
    """Return each fact's rows: the bare prompt first, the essence row last where it is wanted and needs to be run.

    It need not where the prompt begins as it does, up to the lookup token: that state is the bare prompt's too.
    """
    found: dict[int, list[int]] = {fact: [] for fact in facts}
    for i, row in enumerate(rows):
        if row.fact not in found:
            continue
        bare = rows[found[row.fact][0]] if found[row.fact] else row
        shared = bare.lookup == row.lookup and bare.ids[: row.lookup + 1] == row.ids
        if row.targets or (essence and not shared):
            found[row.fact].append(i)
    return found


def _width(row: Row) -> int:
    return len(row.ids) - row.lookup


def _pass(
    looked: Looked, chosen: Mapping[int, Sequence[int]], write: Callable[[Tensor], Tensor], essence: bool
) -> Pass:
    order = {fact: i for i, fact in enumerate(chosen)}
    rows = [looked.rows[i] for own in chosen.values() for i in own]
    contexts = Counter(row.fact for row in rows if row.targets)
    asked = [(n, row, read, t) for n, row in enumerate(rows) for read, t in zip(row.reads, row.targets, strict=False)]
    own_row = {row.fact: n for n, row in enumerate(rows) if not row.targets}
    bare_row = {row.fact: n for n, row in reversed([*enumerate(rows)])}
    kept = [own_row.get(fact, bare_row[fact]) for fact in chosen] if essence else []
    device = looked.values.device
    tensor = lambda items, dtype=torch.long: torch.tensor(items, dtype=dtype, device=device)  # noqa: E731
    where = [*((n, read - row.lookup) for n, row, read, _ in asked), *((n, 0) for n in kept)]
    index = tensor([i for own in chosen.values() for i in own])
    values = looked.values[index]
    return Pass(
        facts=tuple(chosen),
        suffix=looked.suffix.select(index, max(map(_width, rows))),
        edited=lambda: looked.edited.rows([row.fact for row in rows]) if looked.edited else nullcontext(),
        values=values,
        clean_write=write(values),
        row_fact=tensor([order[row.fact] for row in rows]),
        read=Rows(tensor([n for n, _ in where]), tensor([column for _, column in where])),
        read_fact=tensor([order[row.fact] for _, row, _, _ in asked]),
        targets=tensor([t for *_, t in asked]),
        weights=tensor([1 / (contexts[row.fact] * len(row.targets)) for _, row, _, _ in asked], torch.float32),
        reference=looked.initial[list(chosen) if essence else []].float().log_softmax(-1),
    )
