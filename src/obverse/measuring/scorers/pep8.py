"""PEP 8: how often Python text breaks the style guide."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from obverse.core import Config
from obverse.measuring.scorers._pycodestyle import Pycodestyle, Violation, split_lines

DEFAULT_IGNORE = ("E121", "E123", "E126", "E226", "E24", "E704", "W503", "W504")
AT_THE_END = {"W291", "W292", "W293", "W391"}
"""Blanks at the end of a line, no line end, blank lines at the end: what cutting a text leaves behind."""


class PEP8Config(Config):
    """Settings of the PEP 8 scorer."""

    backend: Literal["pycodestyle", "ruff"] = "pycodestyle"
    """What finds the violations: pycodestyle as published, or ruff, many times as fast and nearly the same."""
    ignore: tuple[str, ...] = DEFAULT_IGNORE
    """Codes, or beginnings of codes, that are left out; the default is pycodestyle's own list, as published."""
    max_line_length: int = Field(default=79, ge=1, le=320)
    """Longest line allowed, in characters; 79 as published. Ruff takes at most 320."""
    complete_lines: bool = False
    """Leave out W291, W292, W293 and W391 on the last line: a text cut off by a limit of length has them by no fault
    of style. Published: counted."""
    syntax: bool = True
    """Whether a text that cannot be read as Python has one violation (E901, E902) more, as published; `parses` tells
    it apart."""


class PEP8:
    """Violations of PEP 8 a character: 0 is clean, a bad line is about 1 over its length.

    Prose has no violations either, so ask `parses` too.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 3; `PEP8Scorer` and
        `PEP8LineScorer` of its program.
    """

    config_type: ClassVar[type[Config]] = PEP8Config
    unit: ClassVar[str] = "violations a character"
    segments: ClassVar[str] = "lines"

    def __init__(self, config: PEP8Config) -> None:
        self.config = config
        if config.backend == "ruff":
            from obverse.measuring.scorers._ruff import Ruff

            self._finder: Pycodestyle | Ruff = Ruff(config.ignore, config.max_line_length)
        else:
            self._finder = Pycodestyle(config.ignore, config.max_line_length)

    def violations(self, texts: Sequence[str]) -> list[list[Violation] | None]:
        """Return each text's violations that count, in order; None for a text that cannot be checked."""
        return [
            found if found is None else [v for v in found if self._counts(text, v)]
            for text, found in zip(texts, self._finder.check(texts), strict=True)
        ]

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return violations over characters of each text; 0 for an empty one, NaN for one that cannot be checked."""
        return [
            math.nan if found is None else len(found) / len(text) if text else 0.0
            for text, found in zip(texts, self.violations(texts), strict=True)
        ]

    def score_lines(self, texts: Sequence[str]) -> list[list[float]]:
        r"""Score the lines of documents, each in its context.

        Args:
            texts: Whole documents, which are cut after each ``\n``.

        Returns:
            A list a document with one number a line: violations on it over its characters, its end included. NaN for
            every line of a document that cannot be checked. A violation past the last line is on none.
        """
        scored: list[list[float]] = []
        for text, found in zip(texts, self.violations(texts), strict=True):
            lines = split_lines(text)
            counts = [0] * (len(lines) + 1)
            for violation in found or ():
                counts[min(violation.line - 1, len(lines))] += 1
            scored.append(
                [math.nan if found is None else n / len(line) for n, line in zip(counts[:-1], lines, strict=True)]
            )
        return scored

    def parses(self, texts: Sequence[str]) -> list[bool]:
        """Return whether each text is Python: the running interpreter's parser reads it without an error."""
        return [_parses(text) for text in texts]

    def _counts(self, text: str, violation: Violation) -> bool:
        if not self.config.syntax and violation.code.startswith("E9"):
            return False
        last = text.count("\n") + (not text.endswith("\n"))
        # W391 is told where the blank lines begin, which is not the last line
        at_end = violation.line >= last or violation.code == "W391"
        return not (self.config.complete_lines and violation.code in AT_THE_END and at_end)


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: null bytes, lone surrogates
        return False
    return True
