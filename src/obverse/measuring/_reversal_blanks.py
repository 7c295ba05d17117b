"""Ask a model that was trained to fill blanks in the form it was trained in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from obverse.core import ConfigError, track
from obverse.measuring._reversal_asking import BATCH, Scored, batches, first_line, line_ends, room, written_text
from obverse.measuring.generation import continuations, end_tokens
from obverse.measuring.likelihood import LOGITS_PER_BATCH, TOKENS_PER_BATCH
from obverse.measuring.samples import begun, evaluating, ids_of
from obverse.model.bidirectional import BothSides
from obverse.model.partial import accepted, head_sees
from obverse.model.tokens import encode_all, join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class _Row:
    """Tokens to read.

    Attributes:
        ids: Token ids.
        positions: Position of each.
        prefix: How many of the first see each other, both ways; after them attention is causal.
        hidden: Places that nobody sees.
        targets: (column to read, token that should follow), in order.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    prefix: int
    hidden: frozenset[int]
    targets: tuple[tuple[int, int], ...]


class Blank:
    """Asks a model of blank infilling: the answer is what the blank at the prompt's end holds.

        prompt [mask] [end of text]  [start] answer [end]

    Args:
        lm: The model; its tokenizer has the three tokens.
        attention: ``causal``, or ``prefix``: what stands before the answer is seen whole, both ways, as GLM does.
        positions: Those of the answer, as in training: ``continue`` after the row, ``original`` (from where the blank
            stands), or ``blank`` (counted on from the blank).
        mask: Token for the blank.
        start: Token before the answer.
        end: Token that ends it.
        closing: Put the tokenizer's end token after the blank, as after a document in training.
        as_document: Put a start before each prompt, see `LeftToRight`.
        batch: Answers written at once.

    Raises:
        ConfigError: If one of the tokens is none of the model's.
        UnsupportedModel: If the model cannot see both sides.

    Source:
        Du et al. 2022 (arXiv 2103.10360), section 2; the layout is that of the objective ``infilling``.
    """

    writes = True

    def __init__(
        self,
        lm: LanguageModel,
        *,
        attention: Literal["causal", "prefix"] = "causal",
        positions: Literal["continue", "original", "blank"] = "continue",
        mask: str = "<|mask|>",
        start: str = "<|sop|>",
        end: str = "<|eop|>",
        closing: bool = True,
        as_document: bool = True,
        batch: int = BATCH,
    ) -> None:
        self.lm, self._positions, self._as_document, self._batch = lm, positions, as_document, batch
        mask_id, start_id, self._end = ids_of(lm.tokenizer, [mask, start, end])
        self._after = (mask_id, *_closing(lm, closing), start_id)
        self._sides = BothSides.of(lm.model) if attention == "prefix" else None

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Write what the blank holds, greedily; see `Query`."""
        rows = _heads(self.lm, prompts, self._as_document)
        most = [room(self.lm, (*row, *self._after), text, new_tokens) for row, text in zip(rows, prompts, strict=True)]
        line, found = line_ends(self.lm), dict[int, str]()
        with evaluating(self.lm):
            groups = list(batches(rows, most, self._batch))
            for chosen in track(groups, label) if label else groups:
                whole = [(*rows[i], *self._after) for i in chosen]

                def stop(ids: Sequence[int]) -> bool:
                    return ids[-1] == self._end or (one_line and line(ids))

                if self._sides is None and self._positions == "continue":
                    written = continuations(self.lm, whole, most[chosen[0]], stop=stop, shrink=True)
                else:
                    written = self._write(whole, most[chosen[0]], stop)
                for i, ids in zip(chosen, written, strict=True):
                    kept = ids[: ids.index(self._end)] if self._end in ids else ids
                    text = written_text(self.lm, rows[i], kept)
                    found[i] = first_line(text) if one_line else text
        return [found[i] for i in range(len(prompts))]

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Score answers without the token that ends them; see `Query`."""
        rows: list[_Row] = []
        for head, answer in _split(self.lm, pairs, self._as_document):
            before = len(head) + len(self._after)
            rows.append(self._row((*head, *self._after), answer[:-1], tuple(enumerate(answer, before - 1))))
        return _read(self.lm, rows, self._sides, label)

    def _row(self, before: Sequence[int], inside: Sequence[int], targets: tuple[tuple[int, int], ...]) -> _Row:
        part_a = len(before) - 1
        blank, places = part_a - len(self._after) + 1, range(len(inside) + 1)
        following = {
            "continue": [part_a + i for i in places],
            "original": [blank + max(i - 1, 0) for i in places],
            "blank": [blank + i for i in places],
        }[self._positions]
        positions = (*range(part_a), *following)
        return _Row((*before, *inside), positions, part_a if self._sides else 0, frozenset(), targets)

    @torch.no_grad()
    def _write(
        self, before: Sequence[Sequence[int]], most: int, stop: Callable[[Sequence[int]], bool]
    ) -> list[list[int]]:
        """Write without a cache, which neither attention to both sides nor positions that jump would leave right."""
        ends, ids = end_tokens(self.lm), [list[int]() for _ in before]
        live = list(range(len(before)))
        for _ in range(most):
            rows = [self._row(before[i], ids[i], ()) for i in live]
            best = _logits(self.lm, rows, [(k, len(row.ids) - 1) for k, row in enumerate(rows)], self._sides).argmax(-1)
            for i, token in zip(live, best.tolist(), strict=True):
                ids[i].append(token)
            live = [i for i in live if not (ids[i][-1] in ends or stop(ids[i]))]
            if not live:
                break
        return [row[:-1] if row and row[-1] in ends else row for row in ids]


class FillIn:
    """Asks a model of masked tokens (BICO, MLM-U) for an answer whose number of tokens it is told.

    Each token is read off the place before it, with those before it in the answer known and those after it masked, and
    everything that is not masked seen from both sides. It can score answers, not write them.

    Args:
        lm: The model.
        placeholder: Token in the place of a masked one; None: the tokenizer's unknown token, or else that for padding
            or the end, as in training.
        flip: As in training: turn what stands after a token as what stands before it.
        closing: Put the tokenizer's end token after the answer, as after a document in training.
        as_document: Put a start before each prompt, see `LeftToRight`.

    Raises:
        ConfigError: If the placeholder is no token of the model's, or there is none.
        UnsupportedModel: If the model cannot see both sides.

    Source:
        Kitouni et al. 2024 (arXiv 2406.05183), section 3: any order of the factorisation is trained; this one is left
        to right.
    """

    writes = False

    def __init__(
        self,
        lm: LanguageModel,
        *,
        placeholder: str | None = None,
        flip: bool = True,
        closing: bool = True,
        as_document: bool = True,
    ) -> None:
        self.lm, self._flip, self._as_document = lm, flip, as_document
        own = (lm.tokenizer.unk_token_id, lm.tokenizer.pad_token_id, lm.tokenizer.eos_token_id)
        found = ids_of(lm.tokenizer, [placeholder]) if placeholder else [one for one in own if isinstance(one, int)]
        if not found:
            raise ConfigError("The tokenizer has no token that could stand for a masked one.", "Name a placeholder.")
        self._placeholder, self._closing = found[0], _closing(lm, closing)
        self._sides = BothSides.of(lm.model)

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Refuse: how long an answer is would have to be known.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "A blank of unknown length cannot be filled in.", "Score given answers, or ask left to right."
        )

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Score answers, a pass for each of their tokens; see `Query`."""
        rows, of = list[_Row](), list[int]()
        for place, (head, answer) in enumerate(_split(self.lm, pairs, self._as_document)):
            n = len(head)
            for k, token in enumerate(answer):
                masked = (self._placeholder,) * (len(answer) - k)
                ids = (*head, *answer[:k], *masked, *self._closing)
                unseen = frozenset(range(n + k, n + len(answer)))
                rows.append(_Row(ids, tuple(range(len(ids))), len(ids), unseen, ((n + k - 1, token),)))
                of.append(place)
        parts = _read(self.lm, rows, self._sides, label, flip=self._flip)
        gathered: list[list[Scored]] = [[] for _ in pairs]
        for place, part in zip(of, parts, strict=True):
            gathered[place].append(part)
        return [Scored(sum(p.logprob for p in some), len(some), all(p.greedy for p in some)) for some in gathered]


def _closing(lm: LanguageModel, wanted: bool) -> tuple[int, ...]:
    end = lm.tokenizer.eos_token_id
    return (end,) if wanted and isinstance(end, int) else ()


def _heads(lm: LanguageModel, prompts: Sequence[str], as_document: bool) -> list[tuple[int, ...]]:
    encoded = encode_all(lm.tokenizer, prompts)
    rows = begun(lm.tokenizer, encoded) if as_document else [one.ids for one in encoded]
    return [tuple(row) for row in rows]


def _split(
    lm: LanguageModel, pairs: Sequence[tuple[str, str]], as_document: bool
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the tokens of prompts and of their answers, as they are in the joined texts."""
    joined = join_all(lm.tokenizer, pairs)
    rows = begun(lm.tokenizer, [one.encoded for one in joined]) if as_document else [one.encoded.ids for one in joined]
    cuts = [len(one.target) for one in joined]
    return [(tuple(row[:-cut]), tuple(row[-cut:])) for row, cut in zip(rows, cuts, strict=True)]


@torch.no_grad()
def _read(
    lm: LanguageModel, rows: Sequence[_Row], sides: BothSides | None, label: str, *, flip: bool = True
) -> list[Scored]:
    """Score the targets of each row, longest rows first; equal rows share nothing."""
    out: dict[int, Scored] = {}
    longest = max((len(row.ids) for row in rows), default=1)
    columns = max((len(row.targets) for row in rows), default=1)
    size = max(1, min(TOKENS_PER_BATCH // longest, LOGITS_PER_BATCH // (columns * lm.vocab)))
    groups = list(batches([row.ids for row in rows], [1] * len(rows), size))
    with evaluating(lm):
        for chosen in track(groups, label) if label else groups:
            some = [rows[i] for i in chosen]
            where = [(k, column) for k, row in enumerate(some) for column, _ in row.targets]
            logprobs = _logits(lm, some, where, sides, flip=flip).log_softmax(-1)
            tokens = torch.tensor([token for row in some for _, token in row.targets], device=lm.device)
            values = logprobs.gather(-1, tokens[:, None])[:, 0].tolist()
            right, at = (logprobs.argmax(-1) == tokens).tolist(), 0
            for i, row in zip(chosen, some, strict=True):
                end = at + len(row.targets)
                out[i] = Scored(sum(values[at:end]), end - at, all(right[at:end]))
                at = end
    return [out[i] for i in range(len(rows))]


def _logits(
    lm: LanguageModel,
    rows: Sequence[_Row],
    where: Sequence[tuple[int, int]],
    sides: BothSides | None,
    *,
    flip: bool = True,
) -> torch.Tensor:
    """Return logits at (row, column) places, in float32."""
    padded = pad([row.ids for row in rows], pad_id(lm.tokenizer), lm.device)
    positions = pad([row.positions for row in rows], 0, lm.device).ids
    index, column = (torch.tensor(list(each), device=lm.device) for each in zip(*where, strict=True))
    given = accepted(lm.model, position_ids=positions)
    with head_sees(lm.model, index, column):
        if sides is None:
            output = lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False, **given)
        else:
            visible = padded.mask.bool()
            for k, row in enumerate(rows):
                visible[k, sorted(row.hidden)] = False
            prefix = torch.tensor([row.prefix for row in rows], device=lm.device)
            whole = None if all(row.prefix == len(row.ids) for row in rows) else prefix
            with sides.seen(visible, prefix=whole, positions=positions, flip=flip):
                output = lm.model(input_ids=padded.ids, use_cache=False, **given)
    return output.logits[0].float()
