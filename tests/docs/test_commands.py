"""Every command in the README and the documentation is one that exists, with flags and names that exist."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pages import PAGES, ROOT, SHELL, Block, blocks, lines_of, spoken_commands, words_of
from parsed import ELLIPSIS, Parsed, parse

OTHERS = frozenset(
    {"jupyter", "ray", "lm_eval", "export", "mkdir", "mkdocs", "docker", "uvx", ".venv/bin/pre-commit", ".ci/run"}
)
"""Programs that are not ours and are not looked into."""

AT_ONCE = frozenset({"--help", "--version", "--install-completion", "--show-completion"})
"""Options that act before a command is read, so they cannot be parsed without doing what they say."""

SHELL_BLOCKS = [block for page in PAGES for block in blocks(page) if block.language in SHELL]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=lambda block: block.place)
def test_commands_of_a_block(block: Block) -> None:
    lines = lines_of(block)
    assert lines, "a block without commands wants a language: text, yaml, csv ..."
    for line in lines:
        words = words_of(line)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # settings of the environment
            words = words[1:]
        _check(words, line)


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page in PAGES for line in spoken_commands(page)], ids=lambda value: str(value)
)
def test_commands_in_the_text(page: object, line: str) -> None:
    # a command is talked about, so it need not be whole; names in capitals or with bars stand for something
    words = [ELLIPSIS, *words_of(line.replace("…", ELLIPSIS).partition(" < ")[0])[1:]]
    _check_obverse([word for word in words if not word.endswith("|")])


def test_a_wrong_command_is_found() -> None:
    for line in ("obverse tracee x", "obverse trace x --revers auto", "obverse list", "obverse edit ... --colour 3"):
        with pytest.raises(Exception, match=r"No such|Missing"):
            _check_obverse(words_of(line)[1:])
    for line in ("obverse edit --method romee ...", "obverse train --task pii --method conditinal"):
        with pytest.raises(AssertionError):
            _check_obverse(words_of(line)[1:])
    with pytest.raises(AssertionError):
        _check(words_of("make dmo"), "")


def _check(words: list[str], line: str) -> None:
    match words:
        case ["obverse", *rest]:
            _check_obverse(rest)
        case ["accelerate" | "torchrun", *launched]:
            place = launched.index("obverse")
            assert launched[place - 1] == "-m"
            _check_obverse(launched[place + 1 :])
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), line
        case ["python", "-m", module, *flags]:
            spec = importlib.util.find_spec(module)
            assert spec is not None, line
            assert spec.origin is not None, line
            _flags_stand_in(spec.origin, flags)
        case ["python", script, *flags]:
            _flags_stand_in(str(ROOT / script), flags)
        case ["pip", "install", *wanted]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
            for names in re.findall(r"obverse\[([^\]]+)\]", " ".join(wanted)):
                assert set(names.split(",")) <= set(extras), line
        case [program, *_]:
            assert program in OTHERS, f"{program} is not a program that is known here"
        case _:
            raise AssertionError(line)


def _flags_stand_in(file: str, flags: list[str]) -> None:
    text = Path(file).read_text("utf-8")
    for flag in flags:
        if flag.startswith("--"):
            assert f'"{flag}"' in text or f"{flag[2:].replace('-', '_')}" in text, (file, flag)


def _check_obverse(words: list[str]) -> None:
    if set(words) & AT_ONCE:
        return
    found = parse(words)
    for (command, option), names in _names().items():
        value = found.values.get(option) if found.name[:1] == (command,) else None
        for name in _listed(value):
            assert _is_elsewhere(name) or name in names(), f"{command}: {option} {name!r} is none of {names()}"
    if found.name == ("train",):
        _check_settings(found)


def _listed(value: Any) -> list[str]:
    texts = value if isinstance(value, list | tuple) else [value] if isinstance(value, str) else []
    return [part for text in texts for part in str(text).split(",")]


def _is_elsewhere(name: str) -> bool:
    """Whether a name is a file, a folder, a class in a file, or stands for one."""
    return name.isupper() or any(mark in name for mark in "./:")


def _names() -> dict[tuple[str, str], Callable[[], list[str]]]:
    from obverse.editing import editors
    from obverse.measuring.scorers import scorers
    from obverse.recipes.train_presets import presets

    return {
        ("edit", "method"): editors.names,
        ("bench", "methods"): editors.names,
        ("edit-fit", "method"): editors.names,
        ("train", "method"): lambda: presets("method"),
        ("train", "task"): lambda: presets("task"),
        ("score", "scorer"): scorers.names,
        ("prefs", "scorer"): scorers.names,
        ("red-team", "scorer"): scorers.names,
    }


def _check_settings(found: Parsed) -> None:
    """Settings given on the line are those of the run; files of the reader's own are taken for what is here."""
    from obverse.recipes.train_presets import layers_of, presets
    from obverse.training.settings import train_config

    task, method = found.values.get("task"), found.values.get("method")
    if task and method:
        own = (task if task in presets("task") else "pii", method if method in presets("method") else "mle")
        train_config(*layers_of(*own), overrides=found.values.get("override") or [])
