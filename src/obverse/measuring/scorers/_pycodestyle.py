"""Violations of PEP 8 as pycodestyle finds them, with no configuration file read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation of PEP 8.

    Attributes:
        line: From 1; one more than there are lines where the end of the text is at fault.
        column: In characters, from 1.
        code: Of pycodestyle, e.g. ``"E501"``.
    """

    line: int
    column: int
    code: str


def split_lines(text: str) -> list[str]:
    r"""Split after each ``\n``, as files are read; ``str.splitlines`` would also cut at form feeds."""
    return list(io.StringIO(text, newline="\n"))


class Pycodestyle:
    """Pycodestyle's checks, prepared once.

    Args:
        ignore: Codes, or beginnings of codes, that are left out.
        max_line_length: In characters.
    """

    def __init__(self, ignore: Sequence[str], max_line_length: int) -> None:
        import pycodestyle

        # StyleGuide() would read the user's own configuration file: the options are filled in without it.
        guide = pycodestyle.StyleGuide.__new__(pycodestyle.StyleGuide)
        options, _ = pycodestyle.get_parser().parse_args([])
        guide.options = options
        options.max_line_length = max_line_length
        options.select = ()
        options.ignore = tuple(ignore)
        options.benchmark_keys = pycodestyle.BENCHMARK_KEYS[:]
        options.ignore_code = guide.ignore_code
        for kind, argument in (("physical", "physical_line"), ("logical", "logical_line"), ("ast", "tree")):
            setattr(options, f"{kind}_checks", guide.get_checks(argument))
        self._options, self._checker = options, pycodestyle.Checker
        self._report = _report_type(pycodestyle)

    def check(self, texts: Sequence[str]) -> list[list[Violation] | None]:
        """Return each text's violations, in order; None for a text that cannot be checked."""
        return [self._check(text) for text in texts]

    def _check(self, text: str) -> list[Violation] | None:
        report = self._report(self._options)
        checker = self._checker(lines=split_lines(text), options=self._options, report=report)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's, about the text
                checker.check_all()
        # the published scorer lets the first two pass as no violation at all
        except (UnicodeEncodeError, IndexError, RecursionError, MemoryError):
            return None
        return sorted(report.found, key=lambda found: (found.line, found.column, found.code))


def _report_type(pycodestyle: Any) -> Any:
    class Report(pycodestyle.BaseReport):
        """Keeps every violation with its place."""

        def __init__(self, options: Any) -> None:
            super().__init__(options)
            self.found: list[Violation] = []

        def error(self, line_number: int, offset: int, text: str, check: Any) -> str | None:
            code = text[:4]
            if not self._ignore_code(code):
                self.found.append(Violation(line_number, offset + 1, code))
            return code

    return Report
