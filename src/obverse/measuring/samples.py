"""Let a model write in a scenario: in batches, in evaluation mode, each text from a seed of its own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from obverse.core import ConfigError, DataError, Progress, seed_for
from obverse.measuring.generation import continuations, end_tokens
from obverse.measuring.scenarios import CONTROL_TOKENS, Scenario, Start
from obverse.model.tokens import Encoded, encode_all

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from obverse.model.language_model import LanguageModel

BATCH = 64
"""Texts written at once, unless told otherwise; what is written does not depend on it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text that a model wrote.

    Attributes:
        prompt: What it was written after, without control text.
        text: What was written, without control tokens and end token.
        tokens: Number of tokens written, the end token included.
        ended: Whether the model ended it, rather than the limit.
    """

    prompt: str
    text: str
    tokens: int
    ended: bool


def draw_samples(lm: LanguageModel, scenario: Scenario, *, batch: int = BATCH, label: str = "") -> list[Sample]:
    """Let a model write.

    Args:
        lm: The model; it is in evaluation mode meanwhile, and each of its modules as before afterwards.
        scenario: What is written after what, and how tokens are drawn.
        batch: Texts written at once.
        label: Name of the progress bar; empty for none.

    Returns:
        As many as the scenario asks for, in the order of `Scenario.starts`.

    Raises:
        ConfigError: If a control, banned or start token is no token of the model.
        DataError: If a prompt leaves no room within the scenario's length or what the model reads.
    """
    check_tokens(lm.tokenizer, scenario)
    starts = scenario.starts()
    distinct = list(dict.fromkeys(starts))
    rows = dict(zip(distinct, start_rows(lm.tokenizer, [s.text for s in distinct], scenario.start), strict=True))
    _check_room(lm, scenario, rows)
    never = ids_of(lm.tokenizer, banned(lm.tokenizer, scenario))
    hidden = {*end_tokens(lm), *ids_of(lm.tokenizer, _known(lm.tokenizer, scenario.control_tokens))}
    order = sorted(range(len(starts)), key=lambda i: -len(rows[starts[i]]))  # rows of like length need little padding
    out: dict[int, Sample] = {}
    with evaluating(lm), Progress(label, len(starts)) as progress:
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            written = _write(lm, scenario, chosen, [rows[starts[i]] for i in chosen], never)
            for i, ids in zip(chosen, written, strict=True):
                row = rows[starts[i]]
                out[i] = _sample(lm, starts[i], row, ids[: scenario.max_length - len(row)], hidden)
            progress.advance(len(chosen))
    return [out[i] for i in range(len(starts))]


def _write(
    lm: LanguageModel, scenario: Scenario, places: Sequence[int], rows: Sequence[Sequence[int]], never: Sequence[int]
) -> list[list[int]]:
    most = scenario.max_length - min(len(row) for row in rows)
    seeds = [seed_for(scenario.seed, scenario.name, place) for place in places]
    # From float64, for the share of the likeliest of 250,000 tokens may round to 1 in float32.
    draws = [torch.rand(most, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in seeds]
    return continuations(
        lm,
        rows,
        most,
        top_k=scenario.top_k,
        top_p=scenario.top_p,
        temperature=scenario.temperature,
        draws=torch.stack(draws).to(lm.device),
        banned=never,
        at_least=[scenario.min_length - (len(row) - 1) for row in rows],
        keep_end=True,
    )


def _sample(lm: LanguageModel, start: Start, row: list[int], ids: list[int], hidden: set[int]) -> Sample:
    # Some tokenizers drop a space at the beginning, so the text is what it adds to what stands before.
    head, tail = ([token for token in part if token not in hidden] for part in (row, ids))
    before, whole = lm.decode(head), lm.decode([*head, *tail])
    text = whole[len(before) :] if whole.startswith(before) else lm.decode(tail)
    return Sample(start.prompt, text, len(ids), bool(ids) and ids[-1] in end_tokens(lm))


@contextmanager
def evaluating(lm: LanguageModel) -> Generator[None]:
    """Put a model into evaluation mode, e.g. amid training, and each of its modules back as it was afterwards."""
    training = [module for module in lm.model.modules() if module.training]
    lm.model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def start_rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], start: str | None = None) -> list[list[int]]:
    """Return texts as tokens that something is written after: each with a token before it, none empty.

    Args:
        tokenizer: The tokenizer.
        texts: The texts; may be empty.
        start: The token before each; by default the one the tokenizer puts there itself, else its end token.

    Raises:
        ConfigError: If there is no such token.
    """
    return begun(tokenizer, encode_all(tokenizer, texts), start)


def begun(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Encoded], start: str | None = None) -> list[list[int]]:
    """Return the tokens of each text with one before them that is none of it; see `start_rows`."""
    special, out, first = set(tokenizer.all_special_ids), list[list[int]](), -1
    for one in texts:
        own = bool(one.ids) and one.offsets[0] == (0, 0) and one.ids[0] in special
        if own and start is None:
            out.append(list(one.ids))
        else:
            first = _first(tokenizer, start) if first < 0 else first
            out.append([first, *one.ids[own:]])
    return out


def _first(tokenizer: PreTrainedTokenizerBase, start: str | None) -> int:
    if start is not None:
        return ids_of(tokenizer, [start])[0]
    if not isinstance(tokenizer.eos_token_id, int):
        raise ConfigError("The tokenizer has no start or end token to begin a text with.", "Name one: start=TOKEN.")
    return tokenizer.eos_token_id


def banned(tokenizer: PreTrainedTokenizerBase, scenario: Scenario) -> tuple[str, ...]:
    """Return the tokens that are never written in a scenario."""
    return _known(tokenizer, scenario.control_tokens) if scenario.banned is None else scenario.banned


def ids_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> list[int]:
    """Return the ids of tokens by name.

    Raises:
        ConfigError: If the tokenizer lacks one.
    """
    vocab = tokenizer.get_vocab()
    for token in tokens:
        if token not in vocab:
            raise ConfigError(
                f"{token!r} is no token of the model's.",
                "Only a model of conditional training has control tokens; spell others as in its vocabulary.",
            )
    return [vocab[token] for token in tokens]


def check_tokens(tokenizer: PreTrainedTokenizerBase, scenario: Scenario) -> None:
    """Refuse a scenario that names tokens the model lacks; a prefix may be any text, but not half a control token.

    Raises:
        ConfigError: See `ids_of`.
    """
    ids_of(tokenizer, [token for token in scenario.control_tokens if token in scenario.prefix])
    ids_of(tokenizer, [*(scenario.banned or ()), *([scenario.start] if scenario.start is not None else [])])


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return the control tokens that a tokenizer has; they are no text."""
    return _known(tokenizer, CONTROL_TOKENS)


def _known(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> tuple[str, ...]:
    vocab = tokenizer.get_vocab()
    return tuple(token for token in tokens if token in vocab)


def _check_room(lm: LanguageModel, scenario: Scenario, rows: dict[Start, list[int]]) -> None:
    start, row = max(rows.items(), key=lambda item: len(item[1]))
    if len(row) >= scenario.max_length:
        raise DataError(
            f"The prompt {start.prompt[:40]!r} is {len(row)} tokens long with what stands before it; texts of the "
            f"scenario {scenario.name!r} have {scenario.max_length} in all.",
            "Raise max_length, or shorten the prompt.",
        )
    if lm.context is not None and scenario.max_length > lm.context:
        raise ConfigError(
            f"max_length is {scenario.max_length}, but {lm.name} reads {lm.context} tokens.", "Lower max_length."
        )
