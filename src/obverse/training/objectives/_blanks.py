"""Where blanks go, and what a row with blanks looks like (GLM's autoregressive blank infilling)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from obverse.core import ConfigError

Span: TypeAlias = "tuple[int, int]"
"""Positions [start, end) of a row."""


def length_shares(mean: float, longest: int) -> Float[np.ndarray, " length"]:
    """Return the probabilities of spans of 1, 2, ... tokens: a Poisson distribution cut to them.

    Args:
        mean: Mean of the distribution before it is cut; above 0.
        longest: Most tokens in a span.
    """
    logs = [n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(1, longest + 1)]
    weights = np.exp(np.asarray(logs) - max(logs))
    return weights / weights.sum()


def place(lengths: Sequence[int], room: int, below: Callable[[int], int], offset: int = 0) -> list[Span]:
    """Place spans at random, in the order of their lengths, at least one token apart.

    Args:
        lengths: Tokens of each span; they and a token between every two must fit.
        room: Tokens there are.
        below: Draws an integer from 0, 1, ... n - 1; called once a span.
        offset: Position of the first token.

    Source:
        GLM's program: each span's place is drawn among the tokens left free, with repetition, and the places sorted.
    """
    free = room - sum(lengths) - (len(lengths) - 1)
    spans: list[Span] = []
    for first, length in zip(sorted(below(free + 1) for _ in lengths), lengths, strict=True):
        spans.append((offset + first, offset + first + length))
        offset += length + 1
    return spans


def draw_spans(
    start: int, end: int, goal: int, shares: Float[np.ndarray, " length"], draws: np.random.Generator
) -> list[Span]:
    """Draw spans in a document until they hold enough tokens; the last one may overshoot.

    Args:
        start: Position of the document's first token.
        end: Position after its last.
        goal: Tokens to be held, at least 1.
        shares: Probabilities of the lengths 1, 2, ...
        draws: Source of randomness.

    Returns:
        Spans in order, at least one token apart; lengths are cut where the document is too short for them.
    """
    bounds, lengths = np.cumsum(shares)[:-1], list[int]()
    held, left = 0, end - start
    while held < goal and left > 0:
        length = min(1 + int(np.searchsorted(bounds, draws.random(), "right")), left)
        lengths.append(length)
        held, left = held + length, left - length - 1
    return place(lengths, end - start, lambda n: int(draws.integers(n)), start)


def choose_spans(spans: Sequence[Span], goal: int, draws: np.random.Generator) -> list[Span]:
    """Choose among given spans, in random order, until they hold enough tokens; none touches another."""
    chosen: list[Span] = []
    for i in draws.permutation(len(spans)):
        start, end = spans[i]
        if all(end < s or e < start for s, e in chosen):
            chosen.append(spans[i])
        if sum(e - s for s, e in chosen) >= goal:
            break
    return sorted(chosen)


@dataclass(frozen=True, slots=True)
class Layout:
    """A row with blanks: part A with one mask token a span, then part B with each span between start and end tokens.

    The end token of a span is the label of the input after its last token; so that the last span has one too, part B
    closes with an end token, the only input that GLM's layout does not have.

    Attributes:
        ids: Input tokens.
        labels: What is to be predicted from the position before; ``ignored`` in part A.
        owner: Position in the unblanked row of the token that each position stands for, or whose end it predicts.
        anchor: GLM's first axis: the place in part A, for part B that of the span's mask token.
        inner: GLM's second axis: 0 in part A, then 1, 2, ... from a span's start token on.
        part_a: Length of part A.
    """

    ids: Int[np.ndarray, " row"]
    labels: Int[np.ndarray, " row"]
    owner: Int[np.ndarray, " row"]
    anchor: Int[np.ndarray, " row"]
    inner: Int[np.ndarray, " row"]
    part_a: int


def lay_out(
    ids: Int[np.ndarray, " pos"],
    labels: Int[np.ndarray, " pos"],
    spans: Sequence[Span],
    *,
    mask: int,
    start: int,
    end: int,
    ignored: int,
) -> Layout:
    """Move spans out of a row.

    Args:
        ids: The row.
        labels: What is predicted of each of its tokens: the token, or ``ignored``.
        spans: What is moved, in the order of part B; they must not overlap.
        mask: Token that stands for a span in part A.
        start: Token before a span in part B.
        end: Token that ends a span.
        ignored: Label of what is not predicted.

    Raises:
        ConfigError: If there are no spans: nothing would be learnt.

    Source:
        Du et al. 2022 (arXiv 2103.10360), sections 2.1 and 2.2.
    """
    if not spans:
        raise ConfigError("Blank infilling of a row without blanks was asked for.", "Give at least one span.")
    kept = np.ones(len(ids), bool)
    for first, last in spans:
        kept[first + 1 : last] = False
    owner_a = np.flatnonzero(kept)
    places = [int(np.searchsorted(owner_a, first)) for first, _ in spans]
    ids_a = ids[owner_a]
    ids_a[places] = mask
    rows = [(ids_a, np.full(len(ids_a), ignored), owner_a, np.arange(len(ids_a)), np.zeros(len(ids_a), np.int64))]
    before: tuple[int, int] | None = None
    for (first, last), at in zip(spans, places, strict=True):
        span = np.arange(first, last)
        label, owner = before or (ignored, first)
        rows.append(
            (
                np.concatenate(([start], ids[span])),
                np.concatenate(([label], labels[span])),
                np.concatenate(([owner], span)),
                np.full(len(span) + 1, at),
                np.arange(1, len(span) + 2),
            )
        )
        before = (end, last - 1)
    last, at = spans[-1][1] - 1, places[-1]
    rows.append(tuple(np.array([x]) for x in (end, end, last, at, spans[-1][1] - spans[-1][0] + 2)))  # pyright: ignore[reportArgumentType]
    joined = [np.concatenate(column).astype(np.int64) for column in zip(*rows, strict=True)]
    return Layout(*joined, part_a=len(ids_a))
