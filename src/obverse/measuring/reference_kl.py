"""How far a model has moved from a reference: KL divergence, estimated on texts that one of them writes.

Both directions are means of log p(text) - log q(text) over texts drawn from p at temperature 1:

    forward   KL(reference || model), texts of the reference: what the model has unlearned
    reverse   KL(model || reference), texts of the model: what it says that the reference would not

Texts are compared token by token where the two share a vocabulary, the end token included; else as text, each side
with its own tokens and without the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from obverse.core import DataError, Interval, JsonValue, cache_dir, write_text
from obverse.measuring.statistics import mean_interval, resampled_means

Direction = Literal["forward", "reverse"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A text that was drawn.

    Attributes:
        text: The text, without the end token.
        tokens: How many tokens it took, the end token included where there is one in ``ids``.
        ids: These tokens; empty if its source does not tell.
        logprob: Its natural-log probability where its source told it at once; of its own tokens.
    """

    text: str
    tokens: int
    ids: tuple[int, ...] = ()
    logprob: float | None = None


@runtime_checkable
class TextSource(Protocol):
    """Something that writes texts, and says how likely it finds a text: a model, or a server."""

    name: str

    def identity(self) -> dict[str, JsonValue]:
        """Return everything that drawn texts depend on, but their number, length and seed."""
        ...

    def draw(self, number: int, length: int, seed: int) -> list[Drawn]:
        """Draw texts of at most ``length`` tokens at temperature 1."""
        ...

    def shares_tokens_with(self, other: TextSource) -> bool:
        """Say whether ``ids`` that this source draws mean the same to another."""
        ...

    def logprobs(self, drawn: Sequence[Drawn], *, by_ids: bool) -> list[float]:
        """Return the natural-log probability of each text, by its ids or by its text.

        Raises:
            ConfigError: If it cannot score texts of others.
        """
        ...


@dataclass(frozen=True, slots=True)
class Divergence:
    """A KL divergence.

    Attributes:
        direction: Which of the two wrote the texts.
        nats: Per text, with its 95 % interval (bootstrap over texts).
        per_token: Per token of the writer, with the interval of a ratio.
        by_ids: Whether token by token; else as text.
        name: What the reference is called.
        values: log p - log q of each text, in nats.
    """

    direction: Direction
    nats: Interval
    per_token: Interval
    by_ids: bool
    name: str
    values: tuple[float, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """Return all but the values as JSON values."""
        return {
            "direction": self.direction,
            "reference": self.name,
            "nats": asdict(self.nats),
            "per_token": asdict(self.per_token),
            "by_ids": self.by_ids,
        }


def divergence(
    model: TextSource,
    reference: TextSource,
    *,
    number: int = 512,
    length: int = 64,
    seed: int = 0,
    direction: Direction = "forward",
    cache: Path | None = None,
) -> Divergence:
    """Estimate the KL divergence between a model and a reference.

    Args:
        model: The model.
        reference: The reference.
        number: How many texts are drawn (the paper's runs: 4096).
        length: Their tokens at most (the paper's runs: 64).
        seed: Seed of the draws, and of the intervals.
        direction: ``forward`` with texts of the reference, ``reverse`` with the model's.
        cache: Folder for the reference's texts, the user's by default; the model's own are not kept.

    Raises:
        ConfigError: If the reference is to score texts and cannot.
        DataError: If one of them gives a text no probability, or cannot read it whole.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 4.1, there forward and a text.
    """
    if direction == "forward":
        writer, reader = reference, model
        drawn = cached_draws(reference, number, length, seed, cache)
    else:
        writer, reader = model, reference
        drawn = model.draw(number, length, seed)
    by_ids = writer.shares_tokens_with(reader)
    own, other = (np.asarray(one.logprobs(drawn, by_ids=by_ids)) for one in (writer, reader))
    values = own - other
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"A text has no finite probability: {drawn[place].text[:60]!r}.",
            "Banned tokens have none: see that both sides ban the same.",
        )
    tokens = np.asarray([max(1, one.tokens) for one in drawn], np.float64)
    return Divergence(
        direction,
        mean_interval(values.tolist(), seed, shares=False),
        _ratio(values, tokens, seed),
        by_ids,
        reference.name,
        tuple(values.tolist()),
    )


def _ratio(values: np.ndarray, tokens: np.ndarray, seed: int) -> Interval:
    means = resampled_means(np.stack([values, tokens], 1), seed)
    low, high = np.quantile(means[:, 0] / means[:, 1], (0.025, 0.975))
    return Interval(float(values.sum() / tokens.sum()), float(low), float(high), len(values))


def cached_draws(source: TextSource, number: int, length: int, seed: int, cache: Path | None = None) -> list[Drawn]:
    """Return texts of a source, drawn at the first call and read from a file at later ones.

    Args:
        source: Who writes.
        number: How many texts.
        length: Their tokens at most.
        seed: Seed of the draws.
        cache: Folder of the file, the user's by default.
    """
    key: JsonValue = {**source.identity(), "number": number, "length": length, "seed": seed}
    text = json.dumps(key, sort_keys=True)
    path = (cache or cache_dir()) / "reference-texts" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
    if (kept := _read(path, json.loads(text))) is not None:
        return kept
    drawn = source.draw(number, length, seed)
    write_text(path, json.dumps({"key": key, "drawn": [asdict(one) for one in drawn]}, ensure_ascii=False))
    return drawn


def _read(path: Path, key: JsonValue) -> list[Drawn] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["key"] != key:
            return None
        return [Drawn(one["text"], one["tokens"], tuple(one["ids"]), one["logprob"]) for one in found["drawn"]]
    except (OSError, ValueError, KeyError, TypeError):  # absent, or damaged: drawn anew
        return None
