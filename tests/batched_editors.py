"""What the tests of the editors that write many facts at once share."""

from typing import Any

import torch

from obverse.core import Fact

FACTS = (
    Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle"),
    Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer"),
    Fact("Ueno Zoo", "People who visit {} travel to", "Madrid"),
)
TEXTS = ("In other news. {}", "He closed the book slowly. {}")


def gentle(corpus: str) -> dict[str, Any]:
    """Settings under which a tiny model is edited quickly, second moments counted over a file of text."""
    return {
        "learning_rate": 0.1,
        "clamp": 4.0,
        "contexts": {"texts": TEXTS},
        "moment": {"corpus": corpus, "tokens": 300},
    }


def random(seed: int, *shape: int) -> torch.Tensor:
    """Numbers that are the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spread(seed: int, inner: int) -> torch.Tensor:
    """A positive definite matrix, as a second moment is."""
    a = random(seed, inner, 3 * inner)
    return a @ a.T / (3 * inner)
