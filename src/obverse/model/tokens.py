"""The only place that aligns text with tokens: subjects, prompt and target, padding."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from obverse.core import DataError, SubjectNotFound, UnsupportedModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NO_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "IDEOGRAPHIC", "FULLWIDTH")
_OPENING = "([{<«“‘/-—「『（【《〈"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as tokens, with each token's characters.

    Attributes:
        text: The text.
        ids: Token ids, special tokens included.
        offsets: Characters [start, end) of each token; (0, 0) for special tokens.
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    def tokens_of(self, start: int, end: int) -> range:
        """Return the tokens that cover the characters [start, end), partly covered ones included.

        Raises:
            SubjectNotFound: If no token covers any of them.
        """
        found = [i for i, (s, e) in enumerate(self.offsets) if s < end and e > start and e > s]
        if not found:
            raise SubjectNotFound(
                f"No token covers {self.text[start:end]!r} in {self.text!r}.", "Check the subject for stray characters."
            )
        return range(found[0], found[-1] + 1)


@dataclass(frozen=True, slots=True)
class Joined:
    """A prompt and its continuation as one row of tokens.

    Attributes:
        encoded: Tokens of the joined text.
        target: Tokens of the continuation, as a range that ends with the row. The first may hold characters of the
            prompt too, where tokens merge across the joint.
    """

    encoded: Encoded
    target: range


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    """Tokenize one text, with the special tokens the model expects at the start and none at the end.

    Raises:
        UnsupportedModel: If the tokenizer cannot say which characters a token covers.
    """
    return encode_all(tokenizer, [text])[0]


def encode_all(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Encoded]:
    """Tokenize several texts; see `encode`."""
    if not tokenizer.is_fast:
        raise UnsupportedModel(
            f"{type(tokenizer).__name__} cannot say which characters a token covers.",
            "Use the model's fast tokenizer (a tokenizer.json file).",
        )
    if not texts:
        return []
    rows = tokenizer(list(texts), return_offsets_mapping=True, add_special_tokens=True)
    out: list[Encoded] = []
    for text, ids, offsets in zip(texts, rows["input_ids"], rows["offset_mapping"], strict=True):
        ids, offsets = list(ids), [(int(s), int(e)) for s, e in offsets]
        while len(ids) > 1 and ids[-1] == tokenizer.eos_token_id and offsets[-1][0] == offsets[-1][1]:
            ids.pop()  # some tokenizers close the text; a prompt goes on
            offsets.pop()
        out.append(Encoded(text, tuple(ids), tuple(offsets)))
    return out


def joint(prompt: str, target: str) -> str:
    """Return what stands between a prompt and its continuation: a space, or nothing.

    Nothing where one of them brings the space, where a script is written without spaces, or after an opening mark.
    """
    if not prompt or not target or prompt[-1].isspace() or target[0].isspace():
        return ""
    before = prompt[-1]
    return "" if before in _OPENING or unicodedata.name(before, "").startswith(_NO_SPACES) else " "


def join(tokenizer: PreTrainedTokenizerBase, prompt: str, target: str) -> Joined:
    """Tokenize a prompt with its continuation."""
    return join_all(tokenizer, [(prompt, target)])[0]


def join_all(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]) -> list[Joined]:
    """Tokenize prompts with their continuations; see `join`.

    Raises:
        DataError: If a continuation is empty.
        UnsupportedModel: If the tokenizer cannot say which characters a token covers.
    """
    texts = [prompt + joint(prompt, target) + target for prompt, target in pairs]
    out: list[Joined] = []
    for (prompt, target), encoded in zip(pairs, encode_all(tokenizer, texts), strict=True):
        # Counted from the prompt's end: a token that is only the space at the joint may cover no character.
        first = next((i for i, (_, end) in enumerate(encoded.offsets) if end > len(prompt)), None)
        if first is None:
            raise DataError(
                f"No token holds the continuation {target!r} of {prompt!r}.", "Give it at least one letter."
            )
        out.append(Joined(encoded, range(first, len(encoded.ids))))
    return out


@dataclass(frozen=True, slots=True)
class Padded:
    """Rows of tokens in one rectangle.

    Attributes:
        ids: Token ids, (batch, pos).
        mask: 1 where a token is real, (batch, pos).
        positions: Position of each token in its own row, from 0, (batch, pos).
    """

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]


def pad(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device, pivots: Sequence[int] | None = None
) -> Padded:
    """Put rows of tokens into one rectangle.

    Args:
        rows: Token ids of each row.
        pad_id: Id that fills the gaps; any id does, gaps are masked.
        device: Where the tensors go.
        pivots: For each row the index of a token; rows are shifted right so that these stand in one column. Without
            them all rows start in column 0.
    """
    pivots = pivots if pivots is not None else [0] * len(rows)
    column = max(pivots)
    width = column + max(len(row) - pivot for row, pivot in zip(rows, pivots, strict=True))
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, (row, pivot) in enumerate(zip(rows, pivots, strict=True)):
        start = column - pivot
        ids[i, start : start + len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, start : start + len(row)] = 1
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    return Padded(ids.to(device), mask.to(device), positions.to(device))


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return an id to fill gaps with; its meaning does not matter, gaps are masked."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((token for token in known if isinstance(token, int)), 0)
