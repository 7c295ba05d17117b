"""What all rooms' tests share: tiny models of every family."""

import os
import sys
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import settings

from obverse.model.language_model import LanguageModel

settings.register_profile("shared machine", deadline=None)  # a slow moment of the machine is no fault
settings.load_profile("shared machine")

# Some hundred processes are started; if none kept bytecode, each would compile the package anew, 2 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def tiny_lm() -> Callable[..., LanguageModel]:
    """Return `families.tiny` with a memory: a family's model is made once, and is not to be changed."""
    import torch

    from families import tiny

    torch.set_num_threads(1)  # for matrices this small, more threads only wait for each other
    return cache(tiny)
