"""What all rooms' tests share: tiny models of every family."""

from collections.abc import Callable
from functools import cache

import pytest

from obverse.model.language_model import LanguageModel


@pytest.fixture(scope="session")
def tiny_lm() -> Callable[..., LanguageModel]:
    """Return `families.tiny` with a memory: a family's model is made once, and is not to be changed."""
    import torch

    from families import tiny

    torch.set_num_threads(1)  # for matrices this small, more threads only wait for each other
    return cache(tiny)
