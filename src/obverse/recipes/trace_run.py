"""Trace prompts, or a fact in both directions, draw what was found and write it into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError, DataError, ObverseError
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace
from obverse.locating.tracing import Skipped, TraceConfig
from obverse.model.tokens import encode
from obverse.recipes.followed import Followed
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record
from obverse.recipes.reverse import ReverseAnswer, Turned, trace_reverse, turn
from obverse.recipes.statements import Statement
from obverse.recipes.steps import Steps
from obverse.recipes.trace import make_config
from obverse.recipes.trace_folder import NO_FIGURES, TraceFiles, can_draw
from obverse.recipes.traced import refusal, traced

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """What is asked of `run_trace`.

    Attributes:
        statements: The prompts.
        model: The model.
        settings: Fields of `TraceConfig`.
        expect: Whether to trace only where the model gives the answer that a statement expects.
        follow: Whether to follow the answer that a statement expects, whatever the model would say.
        reverse: The statement turned round, to be traced beside a single prompt; ``auto`` for one of the table.
        reverse_answer: What is followed there: the forward ``subject``, or the model's ``own`` answer.
        files: What is to be written.
        command: The command line that asks, for the page.
    """

    statements: Sequence[Statement]
    model: ModelChoice = field(default_factory=ModelChoice)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    expect: bool = False
    follow: bool = False
    reverse: str | None = None
    reverse_answer: ReverseAnswer = "subject"
    files: TraceFiles = field(default_factory=TraceFiles)
    command: str | None = None


@dataclass(frozen=True, slots=True)
class TraceResult:
    """What came of it.

    Attributes:
        traces: The traces by the name of their statement, in order.
        skipped: What was not traced, and why.
        reverse: The trace of the reverse statement.
        followed: What was followed where that was not the model's own choice, by the name of the statement.
        reverse_followed: The same of the reverse statement.
        notes: What was decided on the way, in sentences.
        seconds: Time by step.
        folder: Where everything was written.
    """

    traces: Mapping[str, CausalTrace]
    skipped: tuple[Skipped, ...] = ()
    reverse: CausalTrace | None = None
    followed: Mapping[str, Followed] = field(default_factory=dict[str, Followed])
    reverse_followed: Followed | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    folder: Path | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be said beside the numbers: what was followed, and what was decided."""
        chosen = [*self.followed.values(), *([self.reverse_followed] if self.reverse_followed else [])]
        return (*(f"Followed: {one}." for one in chosen), *self.notes)

    def to_json(self, top: int = 10) -> dict[str, Any]:
        """Return everything as JSON values, with the strongest sites of each trace."""
        return {
            "traces": {name: _record(found, self.followed.get(name), top) for name, found in self.traces.items()},
            "reverse": _record(self.reverse, self.reverse_followed, top) if self.reverse else None,
            "skipped": [asdict(one) for one in self.skipped],
            "notes": list(self.notes),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder) if self.folder else None,
        }


def _record(found: CausalTrace, followed: Followed | None, top: int) -> dict[str, Any]:
    return {
        **found.to_json(),
        "total_effect": found.total_effect,
        "strongest": [asdict(effect) for effect in found.strongest(top)],
        "followed": asdict(followed) if followed else None,
    }


def run_trace(request: TraceRequest) -> TraceResult:
    """Trace prompts, draw what was found and write it.

    A single prompt that cannot be traced is an error; of several it is counted. An answer that was not expected is
    never an error.

    Args:
        request: What is asked.

    Raises:
        ObverseError: If what is asked cannot be done; nothing is written then.
    """
    start, steps = now(), Steps()
    config = _check(request)
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    with steps.step("Tracing"):
        noise = noise_for(lm, config.noise)
        facts = [statement.fact for statement in request.statements]
        turned = _turned(request, lm)
        found = traced(lm, facts, config, expect=request.expect, follow_target=request.follow, noise=noise)
        skipped = tuple(one for one in found if isinstance(one, Skipped))
        if len(found) == 1 and skipped and skipped[0].reason != "another answer":  # that is a finding about the model
            raise refusal(skipped[0])
        traces = {
            statement.id: one
            for statement, one in zip(request.statements, found, strict=True)
            if isinstance(one, CausalTrace)
        }
        followed = {name: Followed.of(lm, one) for name, one in traces.items()} if request.follow else {}
        answer = request.reverse_answer
        reverse = trace_reverse(lm, turned, answer, config, noise) if turned and traces else Turned()
    cautions = [one.caution for one in followed.values() if not one.known]
    notes = (*_clipped(config, lm), *cautions, *reverse.notes)
    result = TraceResult(traces, skipped, reverse.trace, followed, reverse.followed, notes, steps.seconds)
    if not traces:
        return result
    if request.files.any:
        with steps.step("Drawing and writing", shown=True):
            write_traces(request, config, lm, result, start)
    drawn = can_draw() or request.files.out is None
    notes = result.notes if drawn else (*result.notes, NO_FIGURES)
    return replace(result, notes=notes, folder=request.files.out)


def _check(request: TraceRequest) -> TraceConfig:
    if not request.statements:
        raise DataError("There is no prompt to trace.", "Give a prompt, or a file with at least one fact.")
    if request.follow and any(statement.expect is None for statement in request.statements):
        raise ConfigError("There is no answer to follow.", "Give each statement the answer it should have.")
    if request.reverse is not None and len(request.statements) > 1:
        raise ObverseError(
            "A reverse statement is given for several prompts.", "Trace one prompt at a time with its reverse."
        )
    config = make_config(request.settings)
    request.files.check()
    return config


def _turned(request: TraceRequest, lm: LanguageModel) -> Statement | None:
    """Return the reverse of the one statement, if it is asked for and the statement can be traced."""
    if request.reverse is None:
        return None
    fact = request.statements[0].fact
    if lm.context is not None and len(encode(lm.tokenizer, fact.text).ids) > lm.context:
        return None
    own = not (request.expect or request.follow)
    return turn(lm, fact, request.reverse, request.reverse_answer, own=own)


def write_traces(
    request: TraceRequest, config: TraceConfig, lm: LanguageModel, result: TraceResult, start: str
) -> None:
    """Write what a request came to, with everything that was asked.

    Args:
        request: What was asked, with the files to write.
        config: Its settings.
        lm: The model.
        result: What came of it.
        start: When it began, from `now`.

    Raises:
        ObverseError: If something cannot be written.
    """
    asked: dict[str, Any] = {
        "statements": [asdict(statement) for statement in request.statements],
        "expect": request.expect,
        "follow": request.follow,
        "reverse": request.reverse,
        "reverse_answer": request.reverse_answer,
        "settings": config.model_dump(mode="json"),
        "skipped": [asdict(one) for one in result.skipped],
    }
    request.files.write(
        result.traces,
        result.reverse,
        record=run_record("trace", asked, lm, config.seed, start),
        notes=result.sentences,
        command=request.command,
        seconds=result.seconds,
    )


def _clipped(config: TraceConfig, lm: LanguageModel) -> list[str]:
    layers = lm.architecture.n_layers
    if config.window <= layers or not {"mlp", "attn"} & set(config.kinds):
        return []
    return [f"A window of {config.window} layers is wider than the model ({layers}): windows end at its edges."]


def show_traces(path: Path, model: ModelChoice | None = None) -> TraceResult:
    """Read the trace of a file, or all those of a folder, by name; a statement and its reverse as such.

    Args:
        path: A file or folder that a trace wrote.
        model: The model they are to be of; not checked if None.

    Raises:
        DataError: If there is no trace, or one of a newer format.
        EditMismatch: If they were made on another model.
    """
    files = sorted(path.glob("trace*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"There is no trace in {path}.", "Name a folder or a .safetensors file that a trace wrote.")
    lm = load_model(model) if model is not None else None
    found = {file.stem.removeprefix("trace").removeprefix("-"): CausalTrace.load(file, lm) for file in files}
    if len(found) == 1:
        return TraceResult({"": next(iter(found.values()))})
    reverse = found.pop("reverse") if set(found) == {"", "reverse"} else None
    return TraceResult(found, reverse=reverse)
