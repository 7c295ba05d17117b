"""Functions of Python's standard library with a score a line, style errors put in where asked."""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Literal

import numpy as np

from obverse.core import seed_for
from obverse.data.scored import ScoredText
from obverse.measuring.scorers.pep8 import PEP8, PEP8Config

Violations = Literal["injected", "natural"]

DIRTY = 0.5
"""Share of functions into which style errors are put."""

LINES = (4, 12)
"""Lines of a function, at least and at most."""

_ERRORS = (
    (re.compile(r", (?=\S)"), ","),  # E231 missing whitespace after ','
    (re.compile(r"(?<=\w) = (?=\w)"), "="),  # E225 missing whitespace around operator
    (re.compile(r"(?<=\w)\((?=\w)"), "( "),  # E201 whitespace after '('
    (re.compile(r"(?<=\w) == (?=\w)"), "=="),  # E225
)
_QUOTED = re.compile(r"[\"'#\\]")


def style_scorer() -> PEP8:
    """Return what scores lines: pycodestyle's default rules without syntax errors, a cut end forgiven."""
    return PEP8(PEP8Config(complete_lines=True, syntax=False))


def functions(most: int, folder: Path | None = None) -> list[str]:
    """Return functions and methods, set to the left; the same ones for a Python version, in an order of their own.

    Args:
        most: How many at most.
        folder: Where the modules are; the standard library by default, its tests left out.
    """
    root = folder or Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"}
    files = [path for path in sorted(root.rglob("*.py")) if not skipped & set(path.relative_to(root).parts)]
    found = list(dict.fromkeys(text for path in files for text in _functions(path)))
    order = np.random.default_rng(seed_for(0, "functions")).permutation(len(found))[:most]
    return [found[int(place)] for place in order]


def scored_functions(texts: Sequence[str], violations: Violations, seed: int) -> Iterator[ScoredText]:
    """Yield functions line by line with the violations a character of each line.

    Args:
        texts: The functions.
        violations: ``natural``: as they are. ``injected``: those without a violation, with errors put into half.
        seed: Seed of which lines get an error.
    """
    scorer = style_scorer()
    for text, found in zip(texts, scorer.violations(texts), strict=True):
        if violations == "injected":
            if found or found is None:
                continue
            text = inject(text, seed)
        (scores,) = scorer.score_lines([text])
        if all(np.isfinite(scores)):
            yield ScoredText(tuple(text.splitlines(keepends=True)), tuple(scores))


def inject(text: str, seed: int) -> str:
    """Return a function, in half of all cases with style errors; what it does is not changed.

    Errors are blanks left out after commas and around operators, or put in after brackets; lines with a quote, a
    comment or a line continuation stay as they are, and the first line too.
    """
    rng = np.random.default_rng(seed_for(seed, "inject", text))
    if rng.random() >= DIRTY:
        return text
    first, *rest = text.splitlines(keepends=True)
    return "".join([first, *(_wronged(line, rng) for line in rest)])


def _wronged(line: str, rng: np.random.Generator) -> str:
    able = [(pattern, wrong) for pattern, wrong in _ERRORS if pattern.search(line)]
    if not able or _QUOTED.search(line):
        return line
    pattern, wrong = able[int(rng.integers(len(able)))]
    return pattern.sub(wrong, line)


def _functions(path: Path) -> Iterator[str]:
    try:
        source = path.read_text("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's, about the text
            tree = ast.parse(source)
    except (UnicodeDecodeError, SyntaxError, ValueError):
        return
    lines = source.split("\n")
    inside = [node for owner in tree.body if isinstance(owner, ast.ClassDef) for node in owner.body]
    for node in (*tree.body, *inside):
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and node.end_lineno is not None:
            own = lines[node.lineno - 1 : node.end_lineno]
            if LINES[0] <= len(own) <= LINES[1] and own[0].rstrip().endswith(":") and own[0].isascii():
                text = dedent("\n".join(own)) + "\n"
                if len(text.splitlines()) == len(own):  # no form feed, which would be cut at too
                    yield text
