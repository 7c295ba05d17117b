"""Plain text streams, for statistics of keys and for drift: what is found on the machine, files, or Wikipedia."""

from __future__ import annotations

import ast
import hashlib
import random  # noqa: TID251 - a generator with its own seed, never the global one
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from obverse.core import ConfigError, UnknownName
from obverse.data.relations import known_sentences

NAMES = ("mixed", "docstrings", "facts", "wikipedia")


@dataclass(frozen=True, slots=True)
class Corpus:
    """A stream of texts.

    Attributes:
        name: As the user named it.
        identity: Changes whenever the texts or their order would.
        texts: Begins the stream anew.
    """

    name: str
    identity: str
    texts: Callable[[], Iterator[str]]


def corpus(name: str, seed: int = 0) -> Corpus:
    """Return a corpus by name.

    Args:
        name: ``docstrings`` (of Python's standard library), ``facts`` (sentences made of the well-known facts that come
            with the package), ``mixed`` (both, about as many characters of each), ``wikipedia``, or the path of a text
            file or of a folder of ``.txt`` files. Texts in a file are separated by blank lines.
        seed: Seed of the order of the texts.

    Raises:
        UnknownName: If it is neither a known name nor a path that exists.
        ConfigError: If the file has no text.
    """
    if name == "docstrings":
        return Corpus(name, f"docstrings {sys.version_info[:3]} {seed}", lambda: _shuffled(_docstrings(), seed))
    if name == "facts":
        return Corpus(name, f"facts {_digest(known_sentences())} {seed}", lambda: _shuffled(known_sentences(), seed))
    if name == "mixed":
        parts = [corpus(part, seed) for part in ("docstrings", "facts")]
        return Corpus(name, " ".join(part.identity for part in parts), lambda: _in_turn(*(p.texts() for p in parts)))
    if name == "wikipedia":
        return Corpus(name, f"wikipedia 20231101.en {seed}", lambda: _wikipedia(seed))
    path = Path(name)
    if not path.exists():
        raise UnknownName.among("corpus", name, [*NAMES, "model"])
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    texts = [text for file in files for text in _paragraphs(file)]
    if not texts:
        raise ConfigError(f"{path} holds no text.", "Give a text file, or a folder with .txt files.")
    return Corpus(name, f"{_digest(texts)} {seed}", lambda: _shuffled(texts, seed))


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\x1e".join(texts).encode()).hexdigest()


def _in_turn(first: Iterator[str], second: Iterator[str]) -> Iterator[str]:
    """Yield from two streams, always from the one that has given fewer characters, until one ends."""
    given = [0, 0]
    for text in first:
        yield text
        given[0] += len(text)
        while given[1] < given[0]:
            if (other := next(second, None)) is None:
                return
            yield other
            given[1] += len(other)


def _shuffled(texts: Iterable[str], seed: int) -> Iterator[str]:
    found = list(texts)
    random.Random(seed).shuffle(found)
    return iter(found)


def _paragraphs(file: Path) -> list[str]:
    blocks = file.read_text("utf-8", errors="replace").replace("\r\n", "\n").split("\n\n")
    return [block.strip() for block in blocks if block.strip()]


@cache  # it reads some 600 files, which do not change while Python runs
def _docstrings() -> tuple[str, ...]:
    """Return the docstrings of the standard library, in the order of its files."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found: list[str] = []
    for file in sorted([*root.glob("*.py"), *root.glob("[a-z]*/*.py")]):
        if "site-packages" in file.parts or "test" in file.parts:
            continue
        try:
            tree = ast.parse(file.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # the library keeps a few broken files on purpose, for its own tests
        texts = (ast.get_docstring(node) for node in _statements(tree) if isinstance(node, _DOCUMENTED))
        found += [text for text in texts if text and len(text) > 80]
    return tuple(found)


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Walk as `ast.walk`, breadth first, but not into expressions: most of a tree, and nothing is defined there."""
    nodes = deque[ast.AST]([tree])
    while nodes:
        node = nodes.popleft()
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            nodes.extend(getattr(node, part, ()))
        yield node


def _wikipedia(seed: int) -> Iterator[str]:
    import datasets  # pyright: ignore[reportMissingTypeStubs]

    library: Any = datasets  # it has no types
    stream: Any = library.load_dataset("wikimedia/wikipedia", "20231101.en", split="train", streaming=True)
    for record in stream.shuffle(seed=seed, buffer_size=1000):
        yield record["text"]
