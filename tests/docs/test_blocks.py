"""Every fenced block of the README and the documentation is of a kind that is looked at."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from pages import DATA, DOCS, LANGUAGES, PAGES, ROOT, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_are_all_seen(page: Path) -> None:
    ticks = [line for line in page.read_text("utf-8").splitlines() if line.strip().startswith("```")]
    assert len(ticks) == 2 * len(blocks(page))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_language_and_data(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.why is None or len(block.why) > 5, "say why it is not run"
    if block.language == "text":
        hidden = [line for line in block.text.splitlines() if line.startswith(("obverse ", "$ obverse "))]
        assert not hidden, "commands stand in a shell block"
    if block.language in DATA:
        assert _read(block)


def _read(block: Block) -> object:
    if block.language == "yaml":
        return list(yaml.safe_load_all(block.text)) if not _is_a_list_of_choices(block) else True
    if block.language == "json":
        return json.loads(block.text)
    if block.language == "jsonl":
        return [json.loads(line) for line in block.text.splitlines() if line.strip()]
    if block.language == "toml":
        return tomllib.loads(block.text)
    rows = list(csv.reader(block.text.splitlines()))
    assert len({len(row) for row in rows}) == 1
    return rows


def _is_a_list_of_choices(block: Block) -> bool:
    """A block of lines `model: ...`, each another choice: each line is YAML of its own."""
    lines = [line for line in block.text.splitlines() if line.strip()]
    keys = [line.split(":")[0] for line in lines]
    return len(set(keys)) == 1 and len(keys) > 1 and all(yaml.safe_load(line) for line in lines)


def test_links_name_pages_that_exist() -> None:
    """Pages of one's own are linked by file; mkdocs checks the rest, but not the README."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_files_named_exist() -> None:
    """A path named in the text, such as `editing/{ft,kn}.py`, is one of the package's or the tests'."""
    source = ROOT / "src" / "obverse"
    for page in PAGES:
        on_papers = "papers" in page.parts
        for name in re.findall(r"`([\w/{},*-]+(?:\.py|\.yaml|/))`", page.read_text("utf-8")):
            if "my_" in name or not (on_papers or (name.endswith(".py") and "/" in name)):
                continue  # a file of the reader's own
            for pattern in _braces(name.rstrip("/")):
                found = [*source.rglob(pattern.rpartition("/")[2]), *ROOT.glob(pattern)]
                whole = [path for path in found if path.match(pattern)]
                assert whole, f"{page.relative_to(ROOT)}: {name}"


def test_papers_name_formulas_files_and_commands() -> None:
    """Each row of the table that ties a paper to the package names a file and a command."""
    for page in sorted((DOCS / "papers").glob("*.md")):
        table = page.read_text("utf-8").split("| paper | ")[1].split("\n\n")[0].splitlines()[2:]
        assert len(table) >= 5
        for row in table:
            _, _, _, file, command, _ = row.split("|")
            assert "`" in file, row
            assert "`obverse " in command, row


def _braces(name: str) -> list[str]:
    found = re.search(r"\{([^}]*)\}", name)
    return [name.replace(found[0], one) for one in found[1].split(",")] if found else [name]
