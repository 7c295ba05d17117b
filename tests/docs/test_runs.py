"""The tutorial and the how-tos of editing, typed as they stand, one page after another, with the real model.

What stands in a block of ``text`` after the commands must be printed by them: the same words, and numbers as near as
other machines give them. ``...`` stands for lines left out. The commands of all other pages are parsed
(test_commands.py), since they take long or need files of the reader's own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pages import DOCS, SHELL, Block, blocks, lines_of

TYPED = ("tutorial.md", "howto/many-facts.md", "howto/ship-and-undo.md", "howto/trace.md")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@pytest.mark.real_model
@pytest.mark.timeout(1800)
def test_pages_as_they_are_typed(tmp_path: Path) -> None:
    for name in TYPED:
        found = blocks(DOCS / name)
        for block in found:
            if block.title:
                (tmp_path / block.title).write_text(block.text, "utf-8")
        printed = ""
        for block in found:
            if block.language in SHELL and not block.why:
                printed = "".join(_typed(line, tmp_path, block) for line in lines_of(block) if line[:7] == "obverse")
            elif block.language == "text":
                _check(block, printed)


def _typed(line: str, folder: Path, block: Block) -> str:
    command = [sys.executable, "-m", "obverse", *shlex.split(line)[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, f"{block.place}: {line}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def _check(block: Block, printed: str) -> None:
    lines = [_spaced(line) for line in printed.splitlines()]
    for shown in block.text.splitlines():
        if shown.strip() not in ("", "...", "…"):
            assert any(alike(_spaced(shown), line) for line in lines), f"{block.place}: {shown}\nis not in\n{printed}"


def _spaced(line: str) -> str:
    return " ".join(line.split())


def alike(shown: str, printed: str) -> bool:
    """Whether two lines say the same: words alike, numbers to a point or a twentieth."""
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    values = [tuple(float(one.replace(",", "")) for one in pair) for pair in pairs]
    return all(abs(first - second) <= max(1.0, 0.05 * abs(first)) for first, second in values)


def test_what_counts_as_alike() -> None:
    assert alike("efficacy 1 0% → 97.4%", "efficacy 1 0% → 97.1%")
    assert not alike("efficacy 1 0% → 97.4%", "efficacy 1 0% → 91.0%")
    assert not alike("efficacy 1 0% → 97.4%", "generalization 1 0% → 97.4%")


@pytest.mark.parametrize("name", TYPED)
def test_the_pages_are_there(name: str) -> None:
    assert any(line.startswith("obverse ") for block in blocks(DOCS / name) for line in lines_of(block))
