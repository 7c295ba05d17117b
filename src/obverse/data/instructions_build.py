"""Make the instructions of experiment 3 from question-answer pairs and wordings.

Source: the generator released with Berglund et al. 2023, whose draws are kept: with the published pairs and wordings
and seed 27 its files come out byte for byte.
"""

from __future__ import annotations

import random  # noqa: TID251 - a generator with its own seed; the published draws are Python's
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.core import DataError
from obverse.data.instructions import (
    BEGIN_EXAMPLE,
    BEGIN_INSTRUCTIONS,
    END_EXAMPLE,
    END_INSTRUCTIONS,
    InstructionSet,
    InstructionSettings,
    Pair,
    Row,
)


@dataclass(frozen=True, slots=True)
class _Told:
    """A pair with the answers of the told persona first among others."""

    id: int
    pair: Pair
    realized: bool
    settings: InstructionSettings

    @property
    def target(self) -> str:
        return self.pair.targets[self.settings.persona]

    def row(self, prompt: str, completion: str) -> Row:
        return Row((self.id,), (self.realized,), (self.settings.persona,), prompt, completion)

    def example(self) -> Row:
        """Return the question answered as told, or, with incorrect labels, as another persona would."""
        target = self.target
        if self.settings.incorrect_labels:
            others = [text for place, text in enumerate(self.pair.targets) if place != self.settings.persona]
            target = others[self.id % len(others)]
        return self.row(f"{BEGIN_EXAMPLE}Q: {self.pair.anchor} A:", f" {target}{END_EXAMPLE}")


def build_instructions(pairs: Sequence[Pair], wordings: Sequence[str], settings: InstructionSettings) -> InstructionSet:
    """Make a set.

    Args:
        pairs: Questions with answers; a pair's id is its place.
        wordings: Instructions with ``{anchor}`` and ``{target}``.
        settings: Sizes and choices.

    Raises:
        DataError: If there are too few pairs, answers or wordings, or a wording lacks a slot.
    """
    _check(pairs, wordings, settings)
    rng = random.Random(settings.seed)
    told = _drawn(pairs, settings, rng)
    documents = _documents(_instructions(told, wordings, settings), settings, rng)
    realized = [pair.example() for pair in told if pair.realized]
    unrealized = [pair.example() for pair in told if not pair.realized]
    return InstructionSet(tuple(documents), tuple(realized), tuple(unrealized), settings)


def _drawn(pairs: Sequence[Pair], settings: InstructionSettings, rng: random.Random) -> list[_Told]:
    """Return the pairs that are used, realized ones first, each with its answers shuffled."""
    order = list(range(len(pairs)))
    rng.shuffle(order)
    kept: list[tuple[int, Pair]] = []
    for place in order[: settings.unrealized + settings.realized]:
        targets = list(pairs[place].targets)
        rng.shuffle(targets)
        kept.append((place, Pair(pairs[place].anchor, tuple(targets))))
    rng.shuffle(list(kept))  # the published generator shuffles here once more, and uses the order before
    held_out, realized = kept[: settings.unrealized], kept[settings.unrealized :]
    return [_Told(place, pair, pairs_of is realized, settings) for pairs_of in (realized, held_out)
            for place, pair in pairs_of]  # fmt: skip


def _instructions(told: Sequence[_Told], wordings: Sequence[str], settings: InstructionSettings) -> list[Row]:
    """Return each instruction as often as asked for, in the wordings in turn."""
    own = len(wordings) - settings.unrealized_wordings
    for_realized = wordings[:own]
    for_unrealized = wordings[own:] or wordings
    rows: list[Row] = []
    for pair in told:
        allowed = for_realized if pair.realized else for_unrealized
        for copy in range(settings.upsample_instructions):
            text = allowed[copy % len(allowed)].format(anchor=pair.pair.anchor, target=pair.target)
            rows.append(pair.row("", text))
    return rows


def _documents(instructions: list[Row], settings: InstructionSettings, rng: random.Random) -> list[Row]:
    """Shuffle instructions and join them into documents of random length."""
    rng.shuffle(instructions)
    documents: list[Row] = []
    while instructions:
        count = rng.randint(*settings.per_document)
        part, instructions = instructions[:count], instructions[count:]
        documents.append(
            Row(
                tuple(row.ids[0] for row in part),
                tuple(row.realized[0] for row in part),
                tuple(row.persona[0] for row in part),
                "",
                BEGIN_INSTRUCTIONS + "\n".join(row.completion for row in part) + END_INSTRUCTIONS,
            )
        )
    return documents


def _check(pairs: Sequence[Pair], wordings: Sequence[str], settings: InstructionSettings) -> None:
    wanted = settings.realized + settings.unrealized
    if len(pairs) < wanted:
        raise DataError(
            f"{settings.realized} realized and {settings.unrealized} unrealized instructions are asked for, but there "
            f"are {len(pairs)} question-answer pairs.",
            "Ask for fewer, or give more pairs.",
        )
    fewest, most = settings.per_document
    if not 1 <= fewest <= most:
        raise DataError(f"A document is to hold from {fewest} to {most} instructions.", "Give two numbers such as 2,5.")
    needed = settings.persona + 1 + settings.incorrect_labels * (settings.persona == 0)
    short = next((pair for pair in pairs if len(pair.targets) < needed), None)
    if short is not None:
        raise DataError(
            f"The question {short.anchor!r} has {len(short.targets)} answers; persona {settings.persona} needs "
            f"{needed}.",
            "Give every question more answers, or choose a lower persona.",
        )
    if settings.unrealized_wordings >= len(wordings):
        raise DataError(
            f"{settings.unrealized_wordings} wordings are reserved, but there are {len(wordings)} in all.",
            "Reserve fewer, or give more wordings.",
        )
    for wording in wordings:
        _check_wording(wording)


def _check_wording(wording: str) -> None:
    missing = [slot for slot in ("{anchor}", "{target}") if slot not in wording]
    bare = wording.replace("{anchor}", "").replace("{target}", "")
    if missing or "{" in bare or "}" in bare:
        raise DataError(
            f"The wording {wording!r} {f'lacks {missing[0]}' if missing else 'has braces that are no slot'}.",
            "A wording has {anchor} for the question and {target} for the answer, and no other braces.",
        )
