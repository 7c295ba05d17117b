"""What ``obverse trace`` does with what was asked: trace prompts, average over a data set, show saved traces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from obverse.cli import options
from obverse.cli.console import BELOW, DONE, command_line, notes, print_json, results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from obverse.recipes.models import ModelChoice
    from obverse.recipes.reverse import ReverseAnswer
    from obverse.recipes.statements import Statement
    from obverse.recipes.trace_dataset import DatasetRequest
    from obverse.recipes.trace_folder import TraceFiles
    from obverse.recipes.trace_run import TraceRequest


def trace(request: TraceRequest, top: int, json: bool) -> int:
    """Trace prompts and print what was found."""
    from obverse.cli.trace_tables import print_skipped, print_traced
    from obverse.recipes.trace_run import run_trace

    result = run_trace(request)
    _say(result.notes)
    if json:
        print_json(result.to_json(top))
    elif result.traces:
        print_traced(results(), result, top)
    if len(request.statements) == len(result.skipped) == 1:
        one = result.skipped[0]
        notes().print(f"The answer to {one.fact.text!r} is {one.detail}.", markup=False)
    elif not result.traces:
        print_skipped(notes(), result.skipped)
    return DONE if result.traces else BELOW


def show(path: Path, model: ModelChoice | None, files: TraceFiles, top: int, json: bool) -> int:
    """Show saved traces again, and draw them anew where that is asked."""
    from obverse.cli.trace_tables import print_traced
    from obverse.recipes.trace_folder import NO_FIGURES, can_draw
    from obverse.recipes.trace_run import show_traces

    files.check()
    result = replace(show_traces(path, model), folder=files.out)
    if files.any:
        files.write(result.traces, result.reverse, command=command_line())
        _say([NO_FIGURES] if files.out and not can_draw() else [])
    if json:
        print_json(result.to_json(top))
    else:
        print_traced(results(), result, top)
    return DONE


def average(request: DatasetRequest, figure: Path | None, json: bool) -> int:
    """Average over a data set and print what was found."""
    from obverse.cli.trace_tables import print_averages
    from obverse.locating.figures import average_maps
    from obverse.recipes.trace_dataset import run_dataset

    result = run_dataset(request)
    _say(result.notes)
    if figure is not None:
        average_maps(result.averages, figure)
    if json:
        print_json(result.to_json())
    else:
        print_averages(results(), result)
    return DONE


def statement(prompt: str, subject: str | None, expect: str | None) -> Statement:
    """Return the statement of a prompt, and say what was decided for the user."""
    from obverse.recipes.statements import Statement

    made = Statement.of(prompt, subject, expect)
    _say([made.note] if made.note else [])
    return made


def read(facts: Path) -> list[Statement]:
    """Return the statements of a file of facts."""
    from obverse.data import read_cases
    from obverse.recipes.statements import Statement

    return [Statement.of_case(case) for case in read_cases(facts)]


def kinds(kinds: str | None, sever: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the setting of what to restore, if anything was said of it."""
    from obverse.recipes.trace import kinds_of

    if kinds is None and not sever:
        return {}
    return {"kinds": kinds_of(("hidden", "mlp", "attn") if kinds is None else options.split(kinds), sever)}


def ids(text: str) -> tuple[str, ...]:
    """Return the ids in a list with commas between, or in a file, with commas or lines between."""
    path = Path(text)
    return options.split((path.read_text("utf-8") if path.is_file() else text).replace("\n", ","))


def _say(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        notes().print(f"[yellow]Note:[/] {escape(sentence)}")


def check_given(modes: Mapping[str, object], belongings: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse no or several things to trace, and options of one beside another."""
    from obverse.core import ConfigError

    given = [name for name, value in modes.items() if value is not None]
    if len(given) != 1:
        what = "Nothing to trace is given" if not given else f"{' and '.join(given)} are given together"
        raise ConfigError(
            f"{what}; one of {', '.join(modes)} is needed.",
            'For example: obverse trace "The Space Needle is in the city of" --subject "Space Needle"',
        )
    for mode, names in belongings.items():
        astray = [name for name, value in names.items() if value is not None]
        if astray and mode != given[0]:
            raise ConfigError(f"{' and '.join(astray)} go with {mode}, not with {given[0]}.", "Leave them out.")


def answers(
    expect: str | None, answer: str | None, reverse: str | None, reverse_answer: str | None
) -> tuple[str | None, ReverseAnswer]:
    """Return the answer of the prompt, if one is given, and what is followed in reverse.

    Choices that exclude each other, or that are for nothing, are refused.
    """
    from typing import get_args

    from obverse.core import ConfigError, UnknownName
    from obverse.recipes.reverse import ReverseAnswer

    if expect is not None and answer is not None:
        raise ConfigError(
            "--expect and --answer are given together.",
            "--expect traces only if the model gives that answer; --answer follows it whatever the model says.",
        )
    if reverse_answer is not None and reverse is None:
        raise ConfigError("--reverse-answer goes with --reverse.", "Add --reverse auto, or leave it out.")
    known: tuple[ReverseAnswer, ...] = get_args(ReverseAnswer)
    for one in known:
        if one == (reverse_answer or "subject"):
            return expect if answer is None else answer, one
    raise UnknownName.among("answer in reverse", str(reverse_answer), known)
