"""A model as a source of texts: draws them, and says how likely it finds them, whatever their company in a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from obverse.core import DataError, JsonValue, seed_for, track
from obverse.measuring.generation import continuations, end_tokens
from obverse.measuring.likelihood import LOGITS_PER_BATCH, TOKENS_PER_BATCH
from obverse.measuring.reference_kl import Drawn, TextSource
from obverse.measuring.samples import BATCH, begun, evaluating, ids_of, start_rows
from obverse.measuring.scenarios import CONTROL_TOKENS
from obverse.model.partial import head_sees
from obverse.model.tokens import encode_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class _Row:
    """Tokens to read, and the columns of those whose probability counts."""

    ids: tuple[int, ...]
    charged: tuple[int, ...]


class ModelSource:
    """A model as a source of texts.

    Args:
        lm: The model; read in evaluation mode, and afterwards as it was.
        prefix: Control text that every text stands after; what is asked is p(text | prefix), so it is not charged.
        every_line: Whether the prefix stands after each line break too, as where each line was trained with one.
        banned: Tokens that are no text: never drawn, and left out of the distribution.
        start: Token before everything, see `measuring.samples.start_rows`.
        batch: Texts drawn at once.
        published: Charge as the original program does: the prefix, and after a text shorter than the longest of its
            batch the end token, so that the value depends on the batch.
        published_batch: Texts in such a batch.
        label: Name of the progress bars; empty for none.

    Raises:
        ConfigError: If a banned token, the start or a control token of the prefix is no token of the model.
    """

    def __init__(
        self,
        lm: LanguageModel,
        *,
        prefix: str = "",
        every_line: bool = False,
        banned: Sequence[str] = (),
        start: str | None = None,
        batch: int = BATCH,
        published: bool = False,
        published_batch: int = 32,
        label: str = "",
    ) -> None:
        self.lm, self.name, self.prefix, self.every_line, self.start = lm, lm.name, prefix, every_line, start
        self.banned = tuple(banned)
        ids_of(lm.tokenizer, [token for token in CONTROL_TOKENS if token in prefix])  # else they would be plain text
        self._banned = ids_of(lm.tokenizer, self.banned)
        self._batch, self._published, self._published_batch, self._label = batch, published, published_batch, label

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that drawn texts depend on, but their number, length and seed."""
        return {
            "model": {**self.lm.fingerprint.to_json()},
            "revision": self.lm.revision,
            "dtype": str(self.lm.dtype),
            "prefix": self.prefix,
            "start": self.start,
            "banned": list(self.banned),
        }

    def draw(self, number: int, length: int, seed: int) -> list[Drawn]:
        """Draw texts at temperature 1, each from a seed of its own; see `TextSource`."""
        (row,) = start_rows(self.lm.tokenizer, [self.prefix], self.start)
        groups = [range(begin, min(begin + self._batch, number)) for begin in range(0, number, self._batch)]
        out: list[Drawn] = []
        with evaluating(self.lm):
            for places in track(groups, f"{self._label}: drawing texts") if self._label else groups:
                generators = [torch.Generator().manual_seed(seed_for(seed, "reference", place)) for place in places]
                draws = torch.stack([torch.rand(length, generator=one, dtype=torch.float64) for one in generators])
                drawn = continuations(
                    self.lm,
                    [row] * len(places),
                    length,
                    top_k=0,
                    draws=draws.to(self.lm.device),
                    banned=self._banned,
                    keep_end=True,
                )
                out += [self._drawn(ids, end_tokens(self.lm)) for ids in drawn]
        return out

    def _drawn(self, ids: Sequence[int], ends: set[int]) -> Drawn:
        return Drawn(self.lm.decode([token for token in ids if token not in ends]), len(ids), tuple(ids))

    def shares_tokens_with(self, other: TextSource) -> bool:
        """Say whether the other is a model of the same vocabulary, control tokens that are never drawn aside."""
        if not isinstance(other, ModelSource) or self._by_text or other._by_text:
            return False
        theirs = other.lm.tokenizer.get_vocab()
        return all(
            theirs.get(token) == i for token, i in self.lm.tokenizer.get_vocab().items() if i not in self._banned
        )

    @property
    def _by_text(self) -> bool:
        return self._published or (self.every_line and bool(self.prefix))

    def logprobs(self, drawn: Sequence[Drawn], *, by_ids: bool) -> list[float]:
        """Return the natural-log probability of each text; see `TextSource`.

        Raises:
            DataError: If a text is longer than what the model reads.
        """
        rows = self._rows_of_ids(drawn) if by_ids else self._rows_of_text([one.text for one in drawn])
        longest = max((len(row.ids) for row in rows), default=0)
        if self.lm.context is not None and longest > self.lm.context:
            raise DataError(
                f"A text is {longest} tokens long for {self.lm.name}, which reads {self.lm.context}.",
                "Draw shorter texts.",
            )
        return self._read(rows)

    def _rows_of_ids(self, drawn: Sequence[Drawn]) -> list[_Row]:
        (context,) = start_rows(self.lm.tokenizer, [self.prefix], self.start)
        ends = [len(context) + len(one.ids) for one in drawn]
        return [
            _Row((*context, *one.ids), tuple(range(len(context), end))) for one, end in zip(drawn, ends, strict=True)
        ]

    def _rows_of_text(self, texts: Sequence[str]) -> list[_Row]:
        whole = [self.prefix + (text.replace("\n", "\n" + self.prefix) if self.every_line else text) for text in texts]
        rows, texts_read = list[_Row](), encode_all(self.lm.tokenizer, whole)
        begin = begun(self.lm.tokenizer, texts_read, self.start)
        for text, encoded, ids in zip(whole, texts_read, begin, strict=True):
            free = _spans(text, self.prefix, every=self.every_line) if not self._published else []
            offsets = encoded.offsets[len(encoded.offsets) - len(ids) + 1 :] if len(ids) > 1 else ()
            charged = [c for c, (s, e) in enumerate(offsets, start=1) if not any(a <= s and e <= b for a, b in free)]
            rows.append(_Row(tuple(ids), tuple(charged)))
        return list(self._as_published(rows)) if self._published else rows

    def _as_published(self, rows: Sequence[_Row]) -> Iterator[_Row]:
        end = pad_id(self.lm.tokenizer)
        for begin in range(0, len(rows), self._published_batch):
            some = rows[begin : begin + self._published_batch]
            longest = max(len(row.ids) for row in some)
            for row in some:
                short = len(row.ids) < longest
                yield _Row((*row.ids, end), (*row.charged, len(row.ids))) if short else row

    @torch.no_grad()
    def _read(self, rows: Sequence[_Row]) -> list[float]:
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i].ids))
        out = [0.0] * len(rows)
        batches = list(self._batches(rows, order))
        with evaluating(self.lm):
            for chosen in track(batches, f"{self._label}: reading texts") if self._label else batches:
                for i, value in zip(chosen, self._read_batch([rows[i] for i in chosen]), strict=True):
                    out[i] = value
        return out

    def _batches(self, rows: Sequence[_Row], order: Sequence[int]) -> Iterator[list[int]]:
        """Yield places of rows, longest first, so that the tokens and the logits of each batch are bounded."""
        batch, counted = list[int](), 0
        for i in order:
            more = len(rows[i].charged)
            full = batch and (
                (len(batch) + 1) * len(rows[batch[0]].ids) > TOKENS_PER_BATCH
                or (counted + more) * self.lm.vocab > LOGITS_PER_BATCH
            )
            if full:
                yield batch
                batch, counted = [], 0
            batch, counted = [*batch, i], counted + more
        if batch:
            yield batch

    def _read_batch(self, rows: Sequence[_Row]) -> list[float]:
        places = [(i, column) for i, row in enumerate(rows) for column in row.charged]
        if not places:
            return [0.0] * len(rows)
        device = self.lm.device
        padded = pad([row.ids for row in rows], pad_id(self.lm.tokenizer), device)
        index, column = (torch.tensor(list(each), device=device) for each in zip(*places, strict=True))
        with head_sees(self.lm.model, index, column - 1):
            logits = self.lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False).logits[0].float()
        if self._banned:
            logits[:, self._banned] = -torch.inf
        found = logits.log_softmax(-1).gather(-1, padded.ids[index, column][:, None])[:, 0].double()
        return torch.zeros(len(rows), dtype=torch.float64, device=device).index_add(0, index, found).tolist()


def _spans(text: str, prefix: str, *, every: bool) -> list[tuple[int, int]]:
    """Return where the prefix stands: at the beginning, and after each line break if so wished."""
    if not prefix:
        return []
    starts = [0, *(m.end() for m in re.finditer("\n", text) if every and text.startswith(prefix, m.end()))]
    return [(start, start + len(prefix)) for start in starts]
