"""Every block of Python in the README and the documentation runs, on a tiny model, in a folder of its own.

Blocks of a page run one after another, as a reader would run them. A block with a title is a file of that name, which
later blocks import. Where a page says ``<!-- not run: why -->``, the block is compiled and its imports are made.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.given import GIVEN, common, files
from families import tiny
from obverse.model.language_model import LanguageModel
from pages import PAGES, ROOT, Block, blocks

PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all pages: contexts and second moments of the tiny models are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stage(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, where any model that is asked for by name is a tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    load = LanguageModel.load
    monkeypatch.setattr(
        LanguageModel,
        "load",
        lambda name="gemma-3-270m", **options: load(name, **options) if Path(name).is_dir() else tiny("gemma3"),
    )
    files(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_of_a_page(page: Path, stage: Path) -> None:
    found = blocks(page)
    titled = [block for block in found if block.title]
    for block in titled:
        (stage / block.title).write_text(block.text, "utf-8")
    names = common() | GIVEN.get(str(page.relative_to(ROOT)), lambda _: {})(stage)
    try:
        for block in found:
            if block.language == "python":
                _run(block, names)
    finally:
        for block in titled:
            sys.modules.pop(Path(block.title).stem, None)


def _run(block: Block, names: dict[str, Any]) -> None:
    code = compile("\n" * block.line + block.text, str(block.page), "exec")
    if block.why:
        imports = [node for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        code = compile(ast.Module(imports, []), str(block.page), "exec")
    exec(code, names if not block.title else {"__name__": Path(block.title).stem})
