"""Score and continue rows of tokens made beforehand, where texts are to be joined by another rule than ours."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from obverse.measuring.generation import greedy
from obverse.measuring.likelihood import Around, Likelihood, likelihoods

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Row:
    """A text as tokens, of which the last ones are scored.

    Attributes:
        ids: Token ids.
        start: The first token that is scored, at least 1; the number of tokens where none is.
        variant: Which variant of the model reads them, see `obverse.measuring.likelihood.Around`.
    """

    ids: tuple[int, ...]
    start: int
    variant: int | None


def score(lm: LanguageModel, rows: Sequence[Row], around: Around, label: str = "") -> list[Likelihood]:
    """Score the last tokens of rows; see `likelihoods`."""
    pairs = [(name, _SCORED) for name in map(_name, range(len(rows)))]
    return likelihoods(_reading(lm, rows), pairs, label, variants=[row.variant for row in rows], around=around)


def extend(lm: LanguageModel, rows: Sequence[Row], new_tokens: int, around: Around) -> list[str]:
    """Continue rows greedily; see `greedy`."""
    names = [_name(i) for i in range(len(rows))]
    return greedy(_reading(lm, rows), names, new_tokens, variants=[row.variant for row in rows], around=around)


def _reading(lm: LanguageModel, rows: Sequence[Row]) -> LanguageModel:
    """Return the model with a tokenizer that reads the names of rows."""
    view = copy(lm)
    view.tokenizer = cast("PreTrainedTokenizerBase", _Ready(lm.tokenizer, rows))
    return view


_SCORED = "_"


def _name(number: int) -> str:
    return f"{number} "  # the space at its end stops `join` from putting one


class _Ready:
    """A view of a tokenizer for texts that are tokenized already: it takes a row's name for the row.

    The tokens that are scored cover the character after the name, and all others its first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> None:
        self._tokenizer, self._rows = tokenizer, rows

    def __call__(self, texts: Sequence[str], **_: Any) -> dict[str, list[Any]]:
        """Give the tokens of the rows that are named, with offsets."""
        rows = [self._rows[int(text.split(" ")[0])] for text in texts]
        offsets = [
            [(0, 1)] * row.start + [(len(text) - 1, len(text))] * (len(row.ids) - row.start)
            for text, row in zip(texts, rows, strict=True)
        ]
        return {"input_ids": [list(row.ids) for row in rows], "offset_mapping": offsets}

    def __getattr__(self, name: str) -> Any:
        """Give what the tokenizer has."""
        return getattr(self._tokenizer, name)
