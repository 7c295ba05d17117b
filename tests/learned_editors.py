"""What tests of learned editors share: facts to learn from, and a fit that takes a second or two."""

from __future__ import annotations

from typing import Any

from obverse.core import Case, Fact

PEOPLE = ("Anna Keller", "Megan Rapinoe", "LeBron James", "Angela Merkel", "Marie Curie")
PLACES = ("Seattle", "Paris", "Berlin", "Tokyo")
CASES = [
    Case.of(Fact(who, "{} was born in", where), id=f"{who} {where}", paraphrases=(f"The birthplace of {who} is",))
    for who in PEOPLE
    for where in PLACES
]
NEEDLE = Fact("Space Needle", "The {} is located in the city of", "Paris", "Seattle")
CURIE = Fact("Marie Curie", "{} plays the sport of", "tennis")

SIZES: dict[str, dict[str, Any]] = {"mend": {"rank": 16}, "ke": {"hidden": 24, "condition": 16}}
RATES = {"mend": {"learning_rate": 5e-3, "rate_learning_rate": 1e-3}, "ke": {"learning_rate": 2e-2}}


def settings(method: str, steps: int, **fit: Any) -> dict[str, Any]:
    """Return settings of a method for a tiny model."""
    common = {"accumulate": 1, "corpus": "facts", "texts": 20, "length": 8, "validate_every": 12, "validation": 2}
    return {"layers": (1, 2), **SIZES[method], "fit": {"steps": steps, **common, **RATES[method], **fit}}
