"""Ways to ask: a model left to right, in batches, or a server. Others are in `_reversal_blanks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from obverse.core import DataError, Progress
from obverse.measuring.generation import continuations
from obverse.measuring.likelihood import likelihoods_of
from obverse.measuring.openai_server import Completion, CompletionServer, ServerError
from obverse.measuring.samples import begun, evaluating
from obverse.model.tokens import Encoded, Joined, encode_all, join_all, joint

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

BATCH = 64
"""Answers written at once, unless told otherwise; what is written does not depend on it."""

_Item = TypeVar("_Item")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Scored:
    """How a model takes a given answer.

    Attributes:
        logprob: Natural-log probability of its tokens one after the other, in nats; not divided by their number.
        tokens: How many they are.
        greedy: Whether each is the arg-max of all tokens, so that the model would write the answer by itself; None
            where that is not known.
    """

    logprob: float
    tokens: int
    greedy: bool | None = None


@runtime_checkable
class Query(Protocol):
    """A way to ask a model. Results do not depend on what is asked beside."""

    @property
    def writes(self) -> bool:
        """Whether it can write answers, rather than score given ones only."""
        ...

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Return what the model writes greedily after each prompt.

        Args:
            prompts: The prompts.
            new_tokens: Tokens to write at most; fewer where the model reads no more.
            one_line: End an answer with the first line that is not blank.
            label: Name of the progress bar; empty for none.
        """
        ...

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Return how the model takes answers: pairs of (prompt, answer)."""
        ...


class LeftToRight:
    """Asks a model as it was trained: an answer follows its prompt.

    Args:
        lm: The model.
        batch: Answers written at once.
        as_document: Put before each prompt what stands before a document in training, the tokenizer's start token or
            else its end token; else only what the tokenizer puts there by itself. For models that were trained here.
    """

    writes = True

    def __init__(self, lm: LanguageModel, *, batch: int = BATCH, as_document: bool = False) -> None:
        self.lm, self._batch, self._as_document = lm, batch, as_document

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Write greedy answers, longest prompts first, each prompt once; see `Query`.

        Raises:
            DataError: If a prompt is as long as what the model reads.
        """
        distinct = list(dict.fromkeys(prompts))
        encoded = encode_all(self.lm.tokenizer, distinct)
        rows = begun(self.lm.tokenizer, encoded) if self._as_document else [list(one.ids) for one in encoded]
        most = [room(self.lm, row, prompt, new_tokens) for row, prompt in zip(rows, distinct, strict=True)]
        stop = line_ends(self.lm) if one_line else None
        found: dict[str, str] = {}
        with evaluating(self.lm), Progress(label, len(rows)) as progress:
            for chosen in batches(rows, most, self._batch):
                some = [rows[i] for i in chosen]
                written = continuations(self.lm, some, most[chosen[0]], stop=stop, shrink=True)
                for i, ids in zip(chosen, written, strict=True):
                    text = written_text(self.lm, rows[i], ids)
                    found[distinct[i]] = first_line(text) if one_line else text
                progress.advance(len(chosen))
        return [found[prompt] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Score answers by the offsets of their tokens in the joined text; see `Query`.

        Raises:
            DataError: If a prompt with its answer is longer than what the model reads.
        """
        joined = join_all(self.lm.tokenizer, pairs)
        if self._as_document:
            joined = [self._begun(one) for one in joined]
        for (prompt, _), one in zip(pairs, joined, strict=True):
            room(self.lm, one.encoded.ids[:-1], prompt, 1)
        with evaluating(self.lm):
            found = likelihoods_of(self.lm, joined, label)
        return [Scored(one.total, len(one.logprobs), all(one.correct)) for one in found]

    def _begun(self, joined: Joined) -> Joined:
        ids = tuple(begun(self.lm.tokenizer, [joined.encoded])[0])
        more = len(ids) - len(joined.encoded.ids)
        encoded = Encoded(joined.encoded.text, ids, ((0, 0),) * more + joined.encoded.offsets)
        return Joined(encoded, range(joined.target.start + more, joined.target.stop + more))


class Served:
    """Asks a model on a server that speaks OpenAI's completions protocol; what was answered is not asked for again.

    Where a request fails, answers to the others are kept here: to ask for the same again sends the rest only.

    Args:
        server: The server. Scores need one that gives prompts back with their log-probabilities (``echo``).
        at_once: Requests under way at a time.
    """

    writes = True

    def __init__(self, server: CompletionServer, *, at_once: int = 8) -> None:
        self._server, self._at_once = server, at_once
        self._written: dict[tuple[str, int], str] = {}
        self._scored: dict[tuple[str, str], Scored] = {}

    def write(self, prompts: Sequence[str], new_tokens: int, *, one_line: bool = True, label: str = "") -> list[str]:
        """Ask for an answer to each distinct prompt at temperature 0; see `Query`.

        Raises:
            ServerError: If the server refuses or is not there.
        """

        def answer(asked: tuple[str, int]) -> str:
            prompt, most = asked
            (found,) = self._server.complete(prompt, max_tokens=most, temperature=0.0)
            return found.text

        texts = self._each(answer, [(prompt, new_tokens) for prompt in prompts], self._written, label)
        return [first_line(text) for text in texts] if one_line else texts

    def score(self, pairs: Sequence[tuple[str, str]], *, label: str = "") -> list[Scored]:
        """Ask for the log-probabilities of answers; whether they are greedy is not told; see `Query`.

        Raises:
            ServerError: If the server gives no log-probabilities, or does not give the prompt back.
        """

        def score(pair: tuple[str, str]) -> Scored:
            prompt, answer = pair[0] + joint(*pair), pair[1]
            # Most servers write a token at least; it stands after the text and is not counted.
            (found,) = self._server.complete(prompt + answer, max_tokens=1, temperature=0.0, logprobs=True, echo=True)
            return scored_end(found, prompt, answer)

        return self._each(score, pairs, self._scored, label)

    def _each(
        self, do: Callable[[_Item], _Out], items: Sequence[_Item], known: dict[_Item, _Out], label: str
    ) -> list[_Out]:
        missing = [item for item in dict.fromkeys(items) if item not in known]

        def keep(item: _Item) -> None:
            known[item] = do(item)

        with ThreadPoolExecutor(self._at_once) as pool, Progress(label, len(missing)) as progress:
            for _ in pool.map(keep, missing):
                progress.advance()
        return [known[item] for item in items]


def scored_end(found: Completion, prompt: str, answer: str) -> Scored:
    """Return the log-probability of an answer in a text that a server gave back, by the characters of its tokens.

    Raises:
        ServerError: If the text is another one, or a token of the answer has no log-probability.
    """
    # Departs from Berglund et al.: their program walks back from the last token until the text matches, and sums every
    # token of the prompt too where it never does.
    begin, end, at = len(prompt), len(prompt) + len(answer), 0
    if not "".join(found.tokens).startswith(prompt + answer):
        raise ServerError(
            f"The server gives other tokens back than the text {(prompt + answer)[-40:]!r}.",
            "Scores need a server that knows 'echo' and spells its tokens out; ask for written answers only.",
        )
    values: list[float | None] = []
    for token, value in zip(found.tokens, found.logprobs, strict=True):
        first, at = at, at + len(token)
        if at > begin and first < end:
            values.append(value)
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise ServerError("The server gives no log-probability of a text's first token.", "Put a prompt before it.")
    return Scored(sum(known), len(known))


def room(lm: LanguageModel, row: Sequence[int], prompt: str, wanted: int) -> int:
    """Return how many tokens may be written after a row.

    Raises:
        DataError: If there is room for none.
    """
    left = wanted if lm.context is None else min(wanted, lm.context - len(row))
    if left < 1:
        raise DataError(
            f"{prompt[:40]!r} is {len(row)} tokens long, all told, for {lm.name}, which reads {lm.context}.",
            "Shorten it.",
        )
    return left


def batches(rows: Sequence[Sequence[int]], most: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield places of rows, longest rows first, that may go on for the same number of tokens.

    Rows of like length need little padding, and the batch that takes most memory is the first.
    """
    order = sorted(range(len(rows)), key=lambda i: (-most[i], -len(rows[i])))
    for _, group in groupby(order, key=lambda i: most[i]):
        places = list(group)
        for start in range(0, len(places), size):
            yield places[start : start + size]


def first_line(text: str) -> str:
    """Return a text up to the end of its first line that is not blank."""
    begins = len(text) - len(text.lstrip())
    end = text.find("\n", begins)
    return text if end < 0 else text[:end]


def line_ends(lm: LanguageModel) -> Callable[[Sequence[int]], bool]:
    """Return a function that says whether some tokens hold a line that is not blank, and its end."""
    breaks: dict[int, bool] = {}

    def ended(ids: Sequence[int]) -> bool:
        if ids[-1] not in breaks:
            breaks[ids[-1]] = "\n" in lm.decode(ids[-1:])
        return breaks[ids[-1]] and "\n" in lm.decode(ids).lstrip()

    return ended


def written_text(lm: LanguageModel, before: Sequence[int], ids: Sequence[int]) -> str:
    """Return what some tokens add to the text of those before them; some tokenizers drop a space at the beginning."""
    head, whole = lm.decode(before), lm.decode([*before, *ids])
    return whole[len(head) :] if whole.startswith(head) else lm.decode(ids)
