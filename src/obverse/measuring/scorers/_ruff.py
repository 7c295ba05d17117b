"""Violations of PEP 8 as ruff finds them: about fifteen times as fast as pycodestyle, on many texts at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from shutil import which

from obverse.core import ConfigError, ObverseError
from obverse.measuring.scorers._pycodestyle import Violation

LINE = re.compile(r"^(\d+)\.py:(\d+):(\d+): ([\w-]+)", re.MULTILINE)
"""A line of ruff's short output. With previews it has the name of the rule, in older versions its code."""
BREAK = re.compile(r"\r\n?|\n")
SYNTAX = "E901"
AT_ONCE = 2000
"""Texts a call, each a file for as long as it lasts."""


class Ruff:
    """Ruff's rules of the families E and W, previews included, as a program on a folder of texts.

    Args:
        ignore: Codes that are left out; those that ruff lacks have no effect.
        max_line_length: In characters, 1 to 320.

    Raises:
        ConfigError: If ruff is not installed.
    """

    def __init__(self, ignore: Sequence[str], max_line_length: int) -> None:
        program = _program()
        rules = json.loads(_run([*program, "rule", "--all", "--output-format", "json"]))
        self._codes: dict[str, str] = {rule["name"]: rule["code"] for rule in rules if rule["code"]}
        self._ignore = tuple(ignore)
        known = [code for code in ignore if any(rule.startswith(code) for rule in self._codes.values())]
        self._command = [
            *program, "check", "--isolated", "--no-cache", "--quiet", "--exit-zero", "--ignore-noqa", "--preview",
            "--select", "E,W", *(["--ignore", ",".join(known)] if known else []),
            "--line-length", str(max_line_length), "--target-version", "py314",
            "--no-respect-gitignore", "--output-format", "concise", "--config", "exclude = []", ".",
        ]  # fmt: skip

    def check(self, texts: Sequence[str]) -> list[list[Violation] | None]:
        """Return each text's violations, in order; None for a text that cannot be written as UTF-8.

        Raises:
            ObverseError: If ruff itself fails.
        """
        rest = iter(texts)
        found: list[list[Violation] | None] = []
        while some := list(islice(rest, AT_ONCE)):
            found += self._check(some)
        return found

    def _check(self, texts: Sequence[str]) -> list[list[Violation] | None]:
        found: list[list[Violation] | None] = [[] for _ in texts]
        with tempfile.TemporaryDirectory(prefix="obverse-pep8-") as folder:
            for place, text in enumerate(texts):
                try:
                    (Path(folder) / f"{place}.py").write_bytes(text.encode())
                except UnicodeEncodeError:
                    found[place] = None
            output = _run(self._command, folder)
        for place, violations in self._by_text(output).items():
            kept = (v for v in violations if not (self._ignore and v.code.startswith(self._ignore)))
            found[place] = sorted(_on_lines(texts[place], kept), key=lambda v: (v.line, v.column, v.code))
        return found

    def _by_text(self, output: str) -> dict[int, list[Violation]]:
        found: dict[int, list[Violation]] = {}
        broken: set[str] = set()
        for place, line, column, name in LINE.findall(output):
            code = self._codes.get(name) or name
            if code in ("invalid-syntax", "SyntaxError"):
                # ruff recovers and goes on; pycodestyle stops at the first fault of syntax: one is counted in both
                if place in broken:
                    continue
                broken.add(place)
                code = SYNTAX
            found.setdefault(int(place), []).append(Violation(int(line), int(column), code))
        return found


def _run(command: Sequence[str], folder: str | None = None) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, check=False, encoding="utf-8")
    if ran.returncode:
        raise ObverseError(
            f"ruff failed: {ran.stderr.strip()[-300:]}", "Update it: pip install -U ruff; or use backend=pycodestyle."
        )
    return ran.stdout


def _program() -> list[str]:
    if find_spec("ruff"):
        return [sys.executable, "-m", "ruff"]
    if program := which("ruff"):
        return [program]
    raise ConfigError(
        "The back-end ruff is not installed.", "pip install 'obverse[ruff]', or choose backend=pycodestyle."
    )


def _on_lines(text: str, violations: Iterable[Violation]) -> Iterator[Violation]:
    r"""Count lines by ``\n`` alone, as everywhere else; to ruff a lone ``\r`` ends one too."""
    if "\r" not in text.replace("\r\n", ""):
        yield from violations
        return
    starts = [0, *(found.end() for found in BREAK.finditer(text))]
    lines = [0, *(found.end() for found in re.finditer("\n", text))]
    for v in violations:
        at = starts[min(v.line, len(starts)) - 1] + v.column - 1
        line = bisect_right(lines, at)
        yield Violation(line, at - lines[line - 1] + 1, v.code)
