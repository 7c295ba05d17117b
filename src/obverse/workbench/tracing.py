"""The tab Locate: a causal trace map by map, so that there is something to look at while it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from obverse.core import ConfigError, ObverseError, Progress
from obverse.locating.figures import KIND_TITLES
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.locating.tracing import Skipped, TraceConfig
from obverse.recipes.record import now, slug
from obverse.recipes.statements import Statement
from obverse.recipes.steps import Steps
from obverse.recipes.trace import make_config
from obverse.recipes.trace_folder import TraceFiles
from obverse.recipes.trace_run import TraceRequest, TraceResult, write_traces
from obverse.recipes.traced import refusal, traced
from obverse.workbench.desk import Desk
from obverse.workbench.form import FactForm
from obverse.workbench.jobs import Job
from obverse.workbench.visitors import Visitor
from obverse.workbench.wording import page_words

MAPS: tuple[TraceKind, ...] = ("hidden", "mlp", "attn")
"""The maps, in the order in which they are made."""
LOOK = 2
"""Noise samples of the first look, which is shown before the first map where that takes several times as many."""


@dataclass(frozen=True, slots=True)
class Located:
    """A trace, whole or as far as it is.

    Attributes:
        trace: The trace, with the maps that are done; before that with a first look at the first.
        waiting: Maps that are still to come.
        note: What was decided for the visitor.
        model: Name of the model.
        statement: What was traced.
        settings: Fields of `TraceConfig`.
        start: When it began.
        seconds: Time by step.
    """

    trace: CausalTrace
    waiting: tuple[TraceKind, ...]
    note: str
    model: str
    statement: Statement
    settings: Mapping[str, Any]
    start: str
    seconds: Mapping[str, float]


def locate(
    desk: Desk,
    job: Job[Located],
    model: str,
    form: FactForm,
    kinds: Collection[str] = MAPS,
    **settings: Any,
) -> Located:
    """Trace a prompt, one map after the other; each is shown as soon as it is done, the first from few samples before.

    Each map costs the clean and the corrupted run again, a few hundredths of the work.

    Args:
        desk: The desk.
        job: The job.
        model: Name of the model.
        form: The prompt and its subject.
        kinds: What is restored.
        settings: Other fields of `TraceConfig`.

    Raises:
        ObverseError: If the prompt cannot be traced.
    """
    wanted: list[TraceKind] = [kind for kind in MAPS if kind in kinds]
    if not wanted:
        raise ConfigError("No map is chosen.", "Choose at least one.")
    statement, start, steps = form.statement(), now(), Steps()
    configs = [make_config({**settings, "kinds": (kind,)}) for kind in wanted]
    lm = desk.model(model)
    noise, done = noise_for(lm, configs[0].noise), list[CausalTrace]()

    def so_far(maps: Sequence[CausalTrace], said: str = "") -> Located:
        waiting, note = tuple(wanted[len(done) :]), " ".join(filter(None, (page_words(statement.note), said)))
        return Located(_together(maps), waiting, note, model, statement, settings, start, steps.seconds)

    def one(title: str, config: TraceConfig) -> CausalTrace:
        with Progress(title), steps.step("Tracing"):
            (found,) = traced(lm, [statement.fact], config, noise=noise, label="")
        if isinstance(found, Skipped):
            raise refusal(found)
        return found

    if configs[0].samples >= 2 * LOOK:
        early = one("A first look", configs[0].model_copy(update={"samples": LOOK}))
        job.show(so_far([early], f"A first look, from {LOOK} of {configs[0].samples} noise samples."))
    for kind, config in zip(wanted, configs, strict=True):
        done.append(one(f"Map {len(done) + 1} of {len(wanted)}: {KIND_TITLES[kind]}", config))
        job.show(so_far(done))
    return so_far(done)


def keep_trace(desk: Desk, visitor: Visitor) -> Path:
    """Write a visitor's last trace to the runs, as ``obverse trace`` does, under a name that is free; in a job only.

    Raises:
        ObverseError: If there is none, or it cannot be written.
    """
    found = visitor.located
    if found is None:
        raise ObverseError("There is no trace yet.", "Make one with Trace.")
    out = Path(mkdtemp(dir=visitor.folder)) / "trace"
    settings = {**found.settings, "kinds": found.trace.kinds}
    request = TraceRequest([found.statement], settings=settings, files=TraceFiles(out), command="obverse serve")
    result = TraceResult({"": found.trace}, notes=tuple(filter(None, [found.note])), seconds=found.seconds)
    with Progress("Drawing and writing"):
        write_traces(request, make_config(settings), desk.model(found.model), result, found.start)
    return desk.runs.add(out, f"trace-{slug(found.statement.subject)}")


def _together(traces: Sequence[CausalTrace]) -> CausalTrace:
    """Return traces of one prompt, each with maps of its own, as one."""
    restored = {kind: table for trace in traces for kind, table in trace.restored.items()}
    return replace(traces[0], restored=restored)


def best_layer(trace: CausalTrace) -> int | None:
    """Return the layer to edit that the trace points to: the strongest MLP window at a token of the subject.

    A strong window does not show that an edit there works best; ``obverse sweep-layers`` measures that.
    """
    if "mlp" not in trace.kinds:
        return None
    effects = trace.indirect_effect("mlp")[trace.subject.start : trace.subject.stop]
    return int(effects.max(0).values.argmax())
