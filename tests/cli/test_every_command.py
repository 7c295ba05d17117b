"""The command line is of one piece: every command explains itself, and a flag means one thing wherever it stands."""

import inspect
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest

from obverse.cli.lazy import load
from obverse.cli.main import PLACES

NO_JSON: set[str] = set()
"""Commands without --json; none."""

TWO_MEANINGS = {
    "--show": "trace shows a saved trace again (a file), train its settings (a flag); both are named so in the issues",
    "--layer": "edit takes auto beside numbers",
    "--runs": "serve shows the runs of a folder, remote submit starts so many",
}
"""Flags that take values of two kinds, and why."""


class Flag(NamedTuple):
    name: str
    forms: tuple[str, ...]
    kind: str
    help: str
    is_option: bool


class Command(NamedTuple):
    path: str
    about: str
    epilog: str
    flags: tuple[Flag, ...]


def _commands(name: str) -> Iterator[Command]:
    group = load(PLACES[name], name)
    own = group.registered_callback
    for one in group.registered_commands:
        assert one.callback is not None
        inner = one.name or one.callback.__name__.replace("_", "-")
        yield _command((name,) if inner == name else (name, inner), one.callback, one.epilog)
    if own and own.invoke_without_command is True:
        yield _command((name,), own.callback, own.epilog)


def _command(path: tuple[str, ...], callback: Any, epilog: Any) -> Command:
    hints = get_type_hints(callback, include_extras=True)
    flags = tuple(_flag(name, hints[name]) for name in inspect.signature(callback).parameters if name != "context")
    return Command(" ".join(path), inspect.getdoc(callback) or "", epilog if isinstance(epilog, str) else "", flags)


def _flag(name: str, hint: Any) -> Flag:
    info = next(one for one in hint.__metadata__ if hasattr(one, "param_decls"))
    first = (info.default,) if isinstance(info.default, str) else ()  # in Annotated the first form stands there
    forms = (*first, *(info.param_decls or ())) or (f"--{name.replace('_', '-')}",)
    option = not type(info).__name__.startswith("Argument")
    return Flag(name, forms, _kind(hint.__origin__), info.help or "", option)


def _kind(annotation: Any) -> str:
    """Return what a flag takes: choices, and paths (some may be names too), are text; repeatable or not is one."""
    if get_origin(annotation) in (UnionType, Union):
        [annotation] = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) in (list, tuple):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return "text"
    return {bool: "flag", int: "integer", float: "number", str: "text", Path: "text"}[annotation]


COMMANDS = [found for name in PLACES for found in _commands(name)]
each = pytest.mark.parametrize("found", COMMANDS, ids=lambda found: found.path)


def test_all_were_found():
    paths = {found.path for found in COMMANDS}
    assert {"edit", "doctor", "bench", "bench report", "repro phf", "reversal build", "remote submit"} <= paths
    assert len(paths) == len(COMMANDS) > 30


def test_what_is_there_is_overwritten_by_one_flag():
    assert [found.path for found in COMMANDS for flag in found.flags if "--replace" in flag.forms] == ["trace"]  # noise
    assert len([found for found in COMMANDS for flag in found.flags if "--overwrite" in flag.forms]) > 10


@each
def test_it_says_what_it_does_and_what_each_flag_is(found):
    assert re.match(r"[A-Z].*[.?]", found.about)
    assert not [flag.name for flag in found.flags if not flag.help.strip()]


@each
def test_examples_are_there_and_their_flags_exist(found):
    assert "**Examples**" in found.epilog
    examples = [text for text in re.findall(r"`([^`]+)`", found.epilog) if _command_in(text) == found.path]
    assert examples
    known = {part for flag in found.flags for form in flag.forms for part in form.split("/")} | {"--help"}
    known |= {f"--no-{form[2:]}" for flag in found.flags for form in flag.forms if flag.kind == "flag"}
    for example in examples:
        words = [word.partition("=")[0] for word in shlex.split(example.partition("obverse ")[2])]
        assert not {word for word in words if re.match(r"--?[a-z]", word)} - known, example


def _command_in(example: str) -> str:
    named = [found.path for found in COMMANDS if f"{example} ".partition("obverse ")[2].startswith(f"{found.path} ")]
    return max(named, key=len, default="")


@each
def test_json(found):
    assert ("--json" in {form for flag in found.flags for form in flag.forms}) == (found.path not in NO_JSON)


@each
def test_an_unknown_flag_is_a_mistake(obverse, found):
    ran = obverse(*found.path.split(), "--no-such-flag")
    assert (ran.code, ran.out) == (2, "")
    assert "--no-such-flag" in ran.err


@each
def test_help_is_short_h_too(obverse, found):
    ran = obverse(*found.path.split(), "-h")
    assert ran.code == 0
    assert "Examples" in ran.out


def test_a_flag_takes_values_of_one_kind_wherever_it_stands():
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for found in COMMANDS:
        for flag in found.flags:
            for form in flag.forms if flag.is_option else ():
                kinds[form][flag.kind].append(found.path)
    differing = {form: dict(uses) for form, uses in kinds.items() if len(uses) > 1}
    assert set(differing) == set(TWO_MEANINGS), differing


def test_a_letter_stands_for_one_flag():
    letters: dict[str, set[str]] = defaultdict(set)
    for found in COMMANDS:
        for flag in found.flags:
            longs = [form for form in flag.forms if form.startswith("--")]
            for form in flag.forms if flag.is_option else ():
                if re.fullmatch(r"-\w", form):
                    letters[form].add(longs[0])
    shared = {letter: longs for letter, longs in letters.items() if len(longs) > 1}
    assert shared == {"-s": {"--subject", "--scorer"}}  # no command has both


def test_the_folder_of_a_result_is_called_out_and_o():
    lacking = [
        found.path for found in COMMANDS for flag in found.flags if "--out" in flag.forms and "-o" not in flag.forms
    ]
    assert not lacking
