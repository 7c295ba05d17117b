"""The pages of the documentation as tests see them: fenced blocks, and the commands in them.

A block is run or checked by its language: ``python`` is run; ``sh``, ``bash``, ``console`` or none holds commands;
``yaml``, ``json``, ``jsonl``, ``csv``, ``toml`` are data that must parse; ``text`` is output. A comment in the line
before a block, ``<!-- not run: why -->``, is the only way to have one checked but not run.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SHELL = frozenset({"", "sh", "bash", "console"})
DATA = frozenset({"yaml", "json", "jsonl", "csv", "toml"})
LANGUAGES = SHELL | DATA | {"python", "text"}

_FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<why>[^\n]+?) -->\n)?"
    r"^(?P<indent>[ ]*)(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks)[ ]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `info` is what stands after the ticks, `why` is given where it is not run."""

    page: Path
    line: int
    info: str
    text: str
    why: str | None

    @property
    def language(self) -> str:
        return self.info.split()[0] if self.info.split() else ""

    @property
    def title(self) -> str:
        found = re.search(r'title="([^"]+)"', self.info)
        return found[1] if found else ""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("ticks")) + 1
        found.append(Block(page, line, match["info"].strip(), body, match["why"]))
    return found


def lines_of(block: Block) -> list[str]:
    """Return the command lines of a block: continued ones joined, output of ``console`` and comments left out."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    lines = joined.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    found = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in lines)
    return [line for line in found if line]


def words_of(line: str) -> list[str]:
    return shlex.split(line)


def spoken_commands(page: Path) -> list[str]:
    """Return commands that stand in the text itself, between single backticks."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    return [" ".join(found.split()) for found in re.findall(r"`(obverse [^`]+)`", prose)]
