"""Let a text stand before everything a model is asked, while a context is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from obverse.model.language_model import LanguageModel


class Prefixed:
    """A view of a tokenizer that puts a text before every text it reads; the tokenizer itself is not changed.

    Offsets are those of the text as given, and the prefix's tokens cover no character of it, as special tokens do. So
    subjects, targets and places to look at are found as without the prefix (`model.tokens`).

    Args:
        tokenizer: The tokenizer, or another view.
        prefix: What to put before.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prefix: str) -> None:
        self._tokenizer, self._prefix = tokenizer, prefix

    def __call__(self, texts: Sequence[str], **options: Any) -> Any:
        """Tokenize texts, each with the prefix before it."""
        rows = self._tokenizer([self._prefix + text for text in texts], **options)
        if "offset_mapping" in rows:
            skip = len(self._prefix)
            rows["offset_mapping"] = [
                [(max(start - skip, 0), max(end - skip, 0)) for start, end in row] for row in rows["offset_mapping"]
            ]
        return rows

    def __getattr__(self, name: str) -> Any:
        """Give what the tokenizer has."""
        return getattr(self._tokenizer, name)


@contextmanager
def prefixed(lm: LanguageModel, prefix: str) -> Iterator[None]:
    """Put a text before every prompt of a model while the context is open; of nested ones the inner stands last."""
    own = lm.tokenizer
    if prefix:
        lm.tokenizer = cast("PreTrainedTokenizerBase", Prefixed(own, prefix))
    try:
        yield
    finally:
        lm.tokenizer = own
