"""Keep the talk of the libraries below out of the terminal while a model is read or written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*, keep_bars: bool = False) -> Iterator[None]:
    """Silence the bars and remarks of transformers and the hub's client inside the block, then put all back.

    Their switches belong to the whole process, so two threads that load at once may see each other's.

    Args:
        keep_bars: Leave the bars on (for downloads, which can take long).
    """
    from transformers.utils import logging as library

    bars = library.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    try:
        if not keep_bars:
            library.disable_progress_bar()
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        if bars:
            library.enable_progress_bar()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
