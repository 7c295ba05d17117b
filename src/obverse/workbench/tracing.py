"""The tab Locate: a causal trace map by map, so that there is something to look at while it runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from obverse.core import ConfigError, Progress
from obverse.locating.figures import KIND_TITLES
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.locating.tracing import Skipped
from obverse.recipes.trace import make_config
from obverse.recipes.traced import refusal, traced
from obverse.workbench.desk import Desk
from obverse.workbench.form import FactForm
from obverse.workbench.jobs import Job

MAPS: tuple[TraceKind, ...] = ("hidden", "mlp", "attn")
"""The maps, in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class Located:
    """A trace, whole or as far as it is.

    Attributes:
        trace: The trace, with the maps that are done.
        waiting: Maps that are still to come.
        note: What was decided for the visitor.
    """

    trace: CausalTrace
    waiting: tuple[TraceKind, ...] = ()
    note: str = ""


def locate(
    desk: Desk,
    job: Job[Located],
    model: str,
    form: FactForm,
    kinds: Collection[str] = MAPS,
    **settings: Any,
) -> Located:
    """Trace a prompt, one map after the other; each is shown as soon as it is done.

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
    statement = form.statement()
    configs = [make_config({**settings, "kinds": (kind,)}) for kind in wanted]
    lm = desk.model(model)
    noise, done = noise_for(lm, configs[0].noise), list[CausalTrace]()
    for kind, config in zip(wanted, configs, strict=True):
        with Progress(f"Map {len(done) + 1} of {len(wanted)}: {KIND_TITLES[kind].lower()}"):
            (found,) = traced(lm, [statement.fact], config, noise=noise, label="")
        if isinstance(found, Skipped):
            raise refusal(found)
        done.append(found)
        job.show(Located(_together(done), tuple(wanted[len(done) :]), statement.note))
    return Located(_together(done), note=statement.note)


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
