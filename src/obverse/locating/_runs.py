"""The clean and the corrupted run of a causal trace, and every state of them that restoring needs (rome.md 1.1).

All are rows of one forward pass. Of each corrupted row two copies go along, in which the MLP's, the attention's write
is the clean one in every block; after each block they are put back to the corrupted row. So one pass gives, for each
block and token, the state with that single write restored: MLP, norms and residual sum act token by token, and what
attention would mix in from other tokens is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from obverse.model.hooks import Site, intervene
from obverse.model.partial import accepted, head_sees
from obverse.model.staged import Prefix
from obverse.model.tokens import pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

Part = Literal["mlp", "attn"]
PARTS: tuple[Part, ...] = ("mlp", "attn")


@dataclass(frozen=True, slots=True)
class Statement:
    """A prompt to trace.

    Attributes:
        ids: Its tokens.
        subject: Tokens of the subject.
        answer: Id of the answer token.
    """

    ids: tuple[int, ...]
    subject: range
    answer: int


@dataclass(frozen=True, slots=True)
class Runs:
    """States of the runs of a few statements; every list has one entry a block.

    All rows end in the last column. ``row`` counts corrupted copies, ``fact`` statements.

    Attributes:
        prefix: The corrupted runs, to be continued.
        fact_of: The statement of each corrupted row.
        starts: First column of each statement's subject.
        corrupted: Block outputs of the corrupted rows.
        clean: Block outputs of the clean rows.
        entry: Block outputs of the corrupted rows with one write restored at every token, by part.
        clean_write: What is written in the clean rows, by part.
        corrupted_write: What is written in the corrupted rows, by part; only of parts to be severed.
    """

    prefix: Prefix
    fact_of: Int[Tensor, " row"]
    starts: tuple[int, ...]
    corrupted: list[Float[Tensor, "row pos hidden"]] = field(default_factory=list[Tensor])
    clean: list[Float[Tensor, "fact pos hidden"]] = field(default_factory=list[Tensor])
    entry: dict[Part, list[Float[Tensor, "row pos hidden"]]] = field(default_factory=dict[Part, list[Tensor]])
    clean_write: dict[Part, list[Float[Tensor, "fact pos hidden"]]] = field(default_factory=dict[Part, list[Tensor]])
    corrupted_write: dict[Part, list[Float[Tensor, "row pos hidden"]]] = field(default_factory=dict[Part, list[Tensor]])

    @property
    def columns(self) -> int:
        """Number of columns."""
        return self.prefix.padded.ids.shape[1]


class _Recorder:
    """Keeps states while the model runs; rows are: corrupted, a copy of them a restored part, clean."""

    def __init__(self, fact_of: Tensor, restored: Sequence[Part], severed: Sequence[Part], columns: int) -> None:
        self.fact_of, self.restored, self.severed, self.columns = fact_of, tuple(restored), tuple(severed), columns
        self.rows = len(fact_of)
        self.first_clean = self.rows * (1 + len(restored))
        self.corrupted: list[Tensor] = []
        self.clean: list[Tensor] = []
        self.entry: dict[Part, list[Tensor]] = {part: [] for part in restored}
        self.clean_write: dict[Part, list[Tensor]] = {part: [] for part in restored}
        self.corrupted_write: dict[Part, list[Tensor]] = {part: [] for part in severed}
        self.as_tuple = False

    def group(self, part: Part) -> slice:
        start = self.rows * (1 + self.restored.index(part))
        return slice(start, start + self.rows)

    def write(self, part: Part) -> Callable[[Tensor, Tensor], Tensor]:
        """Return what is done to the writes of a part."""

        def change(_: Tensor, output: Tensor) -> Tensor:
            written = output.reshape(-1, self.columns, output.shape[-1])  # OPT flattens rows and tokens
            if part in self.severed:
                self.corrupted_write[part].append(written[: self.rows].clone())
            if part in self.restored:
                clean = written[self.first_clean :].clone()
                self.clean_write[part].append(clean)
                written = written.clone()
                written[self.group(part)] = clean[self.fact_of.to(clean.device)]
            return written.reshape(output.shape)

        return change

    def block(self, _: Tensor, output: Tensor) -> Tensor:
        corrupted = output[: self.rows].clone()
        self.corrupted.append(corrupted)
        self.clean.append(output[self.first_clean :].clone())
        if not self.restored:
            return output
        output = output.clone()
        for part in self.restored:
            self.entry[part].append(output[self.group(part)].clone())
            output[self.group(part)] = corrupted
        return output


@torch.no_grad()
def run(
    lm: LanguageModel,
    statements: Sequence[Statement],
    copies: Sequence[tuple[int, Tensor]],
    replace: bool,
    restored: Sequence[Part],
    severed: Sequence[Part],
) -> Runs:
    """Run statements clean and corrupted, and keep their states.

    Args:
        lm: The model.
        statements: The statements.
        copies: For each corrupted row its statement and its noise, (subject tokens, hidden).
        replace: Whether noise stands in place of the subject's embeddings, not on top of them.
        restored: Parts whose writes will be restored.
        severed: Parts whose writes will be held.
    """
    a, facts = lm.architecture, [fact for fact, _ in copies]
    order = [*facts * (1 + len(restored)), *range(len(statements))]
    last = [len(statements[fact].ids) - 1 for fact in order]
    padded = pad([statements[fact].ids for fact in order], pad_id(lm.tokenizer), lm.device, last)
    columns = padded.ids.shape[1]
    starts = tuple(columns - len(one.ids) + one.subject.start for one in statements)
    recorder = _Recorder(torch.tensor(facts, device=lm.device), restored, severed, columns)

    # Departs from the original: where noise replaces embeddings, it does so in the corrupted run too, not in the
    # restored ones alone, so that the two compare.
    def corrupt(_: Tensor, embedded: Tensor) -> Tensor:
        embedded = embedded.clone()
        for row, fact in enumerate(order[: recorder.first_clean]):
            noise = copies[row % len(copies)][1]
            where = embedded[row, starts[fact] : starts[fact] + len(noise)]
            where.copy_(noise if replace else where.cpu().double() + noise)
        return embedded

    changes: dict[str, Callable[[Tensor, Tensor], Tensor]] = {_embedding_name(lm): corrupt}
    parts: set[Part] = {*restored, *severed}
    for layer in range(a.n_layers):
        for part in parts:
            changes[Site(layer, part).module(a)] = recorder.write(part)
        changes[Site(layer, "hidden").module(a)] = recorder.block
    cache = DynamicCache()
    with ExitStack() as stack:
        block = lm.model.get_submodule(a.block(0))
        stack.callback(block.register_forward_hook(lambda _m, _i, output: _note(recorder, output)).remove)
        stack.enter_context(intervene(lm.model, changes))
        nothing = torch.zeros(1, dtype=torch.long, device=lm.device)
        stack.enter_context(head_sees(lm.model, nothing, nothing))
        arguments = accepted(lm.model, position_ids=padded.positions)
        lm.model(input_ids=padded.ids, attention_mask=padded.mask, past_key_values=cache, use_cache=True, **arguments)
    return Runs(
        Prefix.of(cache, padded, slice(len(copies)), recorder.as_tuple),
        recorder.fact_of,
        starts,
        recorder.corrupted,
        recorder.clean,
        recorder.entry,
        recorder.clean_write,
        recorder.corrupted_write,
    )


def _note(recorder: _Recorder, output: object) -> None:
    recorder.as_tuple = isinstance(output, tuple)


def _embedding_name(lm: LanguageModel) -> str:
    embedding = lm.model.get_input_embeddings()
    return next(name for name, module in lm.model.named_modules() if module is embedding)
