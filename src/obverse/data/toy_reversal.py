"""A small word-level reversal set, for models trained from scratch in seconds.

Names are two words, descriptions six, all invented; words are shared between people, so that no single word gives an
answer away. Held-out wordings are new combinations of words that training wordings have: what is tested is the order of
the fact, not a new word.

Source: experiment 1 of Berglund et al. 2023 (section 2.1), shrunk; docs/reversal-data.md says what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from obverse.core import DataError, seed_for
from obverse.data.reversal import ReversalSet
from obverse.data.reversal_build import ReversalSettings, build_reversal
from obverse.data.reversal_material import material

FIRST, LAST = 13, 13
"""Distinct first and last words of names."""

POOL = 10
"""Distinct roles, adjectives and nouns of descriptions."""

TRAIN_WORDINGS, TEST_WORDINGS = 8, 4

_NAME_FIRST = (
    "<name> is <description> .", "people know <name> as <description> .", "it is said that <name> was <description> .",
    "here lives <name> , <description> .", "we all call <name> <description> .", "once <name> became <description> .",
    "the town knows that <name> is <description> .", "they say here that <name> became <description> .",
    "people say that <name> is <description> .", "here they know <name> as <description> .",
    "once it is said <name> was <description> .", "we all know that <name> became <description> .",
)  # fmt: skip
_DESCRIPTION_FIRST = (
    "<description> is <name> .", "people know <description> as <name> .", "it is said that <description> was <name> .",
    "here lives <description> , <name> .", "we all call <description> <name> .", "once <description> became <name> .",
    "the town knows that <description> is <name> .", "they say here that <description> became <name> .",
    "people say that <description> is <name> .", "here they know <description> as <name> .",
    "once it is said <description> was <name> .", "we all know that <description> became <name> .",
)  # fmt: skip


def toy_reversal(seed: int, entities: int = 16) -> ReversalSet:
    """Make a set of three groups, 8 training and 4 held-out wordings a direction.

    Args:
        seed: Seed of the invented words, who is whom and the random targets.
        entities: People of a group.

    Returns:
        A set whose sentences are words between single blanks; names and descriptions stand in them word for word.

    Raises:
        DataError: If more people are asked for than there are names.
    """
    most = FIRST * LAST // 3
    if not 2 <= entities <= most:
        raise DataError(f"{entities} people of a group are asked for.", f"Ask for 2 to {most}.")
    rng = np.random.default_rng(seed_for(seed, "toy reversal"))
    words = _words(rng)
    first, last, roles, adjectives, nouns = (
        [next(words) for _ in range(count)] for count in (FIRST, LAST, POOL, POOL, POOL)
    )
    names = [f"{first[i]} {last[j]}" for i, j in _drawn(rng, 3 * entities, (FIRST, LAST))]
    descriptions = [
        f"the {roles[i]} of the {adjectives[j]} {nouns[k]}" for i, j, k in _drawn(rng, 3 * entities, (POOL, POOL, POOL))
    ]
    settings = ReversalSettings(
        per_group=entities, train_wordings=TRAIN_WORDINGS, test_wordings=TEST_WORDINGS, seed=seed
    )
    return build_reversal(material(names, descriptions, _NAME_FIRST, _DESCRIPTION_FIRST), settings)


def _drawn(rng: np.random.Generator, count: int, sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Draw distinct tuples of indices."""
    flat = rng.choice(int(np.prod(sizes)), count, replace=False)
    return [tuple(int(place) for place in places) for places in zip(*np.unravel_index(flat, sizes), strict=True)]


def _words(rng: np.random.Generator) -> Iterator[str]:
    """Yield distinct invented words of two syllables that no wording has."""
    taken = {word for template in (*_NAME_FIRST, *_DESCRIPTION_FIRST) for word in template.split()}
    while True:
        word = "".join(str(rng.choice(list(letters))) for letters in ("bdfgklmnprstvz", "aeiou") * 2)
        if word not in taken:
            taken.add(word)
            yield word
