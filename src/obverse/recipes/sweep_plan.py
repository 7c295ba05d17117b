"""What a sweep over layers would do and what it would cost, before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError, parse_override
from obverse.editing import estimate
from obverse.editing.moments import MomentConfig, uncounted
from obverse.model.tokens import encode
from obverse.recipes.models import ModelChoice
from obverse.recipes.plan import Plan, check_settings, make_editor, make_plan
from obverse.recipes.sweep_facts import Sample
from obverse.recipes.sweep_work import TRACED

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

AT_ONCE = 8
"""Facts whose values are optimized side by side at most."""

EDIT_BYTES = 3e9
"""Memory that facts side by side may take beyond the model."""


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is asked of `run_sweep`.

    Attributes:
        model: The model.
        dataset: ``builtin``, or a file of facts; see `sample_facts`.
        limit: How many facts at most.
        layers: The layers; all if None.
        method: Name of the editor.
        settings: Its settings, as a mapping; not the layers.
        overrides: Its settings as ``key=value``, applied last.
        out: Folder of the run, which goes on where it was stopped; ``runs/sweep-MODEL`` if None.
        trace: Whether to trace the facts too.
        samples: Noise samples of the trace.
        seed: Seed of the choice of facts and of their new answers.
        dry_run: Whether to stop after the plan.
    """

    model: ModelChoice = field(default_factory=ModelChoice)
    dataset: str | Path = "builtin"
    limit: int = 8
    layers: Sequence[int] | None = None
    method: str = "rome"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    overrides: Sequence[str] = ()
    out: Path | None = None
    trace: bool = True
    samples: int = 5
    seed: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What will be done.

    Attributes:
        edit: The edits of all facts at all layers, as one plan; its cost is theirs.
        sample: The facts.
        n_layers: Layers of the model.
        usual: The layers that the method takes of itself.
        uncounted: How many layers' second moments are to be counted first.
        at_once: Facts whose values are optimized side by side.
        edit_bytes: Memory they take beyond the model.
        probe_seconds: Estimate of verifying.
        trace_seconds: Estimate of tracing; 0 if nothing is traced.
    """

    edit: Plan
    sample: Sample
    n_layers: int
    usual: tuple[int, ...]
    uncounted: int
    at_once: int = 1
    edit_bytes: float = 0.0
    probe_seconds: float = 0.0
    trace_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Estimate of the whole sweep."""
        return (self.edit.cost.seconds if self.edit.cost else 0.0) + self.probe_seconds + self.trace_seconds


def check_request(request: SweepRequest) -> None:
    """Refuse, before any work, what cannot be done.

    Raises:
        UnknownName: If there is no such method.
        ConfigError: If a setting is unknown or out of range, or the layers are given as a setting.
    """
    if "layers" in request.settings or any(parse_override(text)[0] == "layers" for text in request.overrides):
        raise ConfigError(
            "The layers are a setting here, but they are what is swept.", "Choose some with --layers 0,2,4."
        )
    if request.layers is not None and (not request.layers or len(set(request.layers)) < len(request.layers)):
        raise ConfigError(f"The layers {list(request.layers)} are none, or one stands twice.", "Name each layer once.")
    for name, value in (("limit", request.limit), ("samples", request.samples)):
        if value < 1:
            raise ConfigError(f"--{name} is {value}; it must be at least 1.", f"Give --{name} 1 or more.")
    check_settings(request.method, request.settings, request.overrides)


def make_sweep_plan(lm: LanguageModel, request: SweepRequest, layers: Sequence[int], sample: Sample) -> SweepPlan:
    """Say what a sweep would do and what it would cost, from shapes alone."""
    facts = [case.fact for case in sample.cases]
    editor = make_editor(lm, request.method, {**request.settings, "layers": list(layers)}, request.overrides)
    plan = make_plan(lm, editor, request.method, facts)
    usual = make_editor(lm, request.method, request.settings, request.overrides).layers(lm)
    moment = getattr(editor.config, "moment", None)
    waiting = len(uncounted(lm, layers, moment)) if isinstance(moment, MomentConfig) else 0
    made = SweepPlan(plan, sample, lm.architecture.n_layers, usual, waiting)
    if plan.cost is None:
        return made
    steps = int(plan.settings["steps"])
    longest = max(facts, key=lambda fact: len(fact.text) + len(fact.target))
    widest = estimate(lm, [longest], layers[:1], plan.contexts, steps).memory
    at_once = max(1, min(AT_ONCE, len(facts), int(EDIT_BYTES / widest)))
    speed = plan.cost.flops / plan.cost.seconds
    return replace(
        made,
        at_once=at_once,
        edit_bytes=at_once * widest,
        probe_seconds=_probe_flops(lm, sample) * (len(layers) + 1) / speed,
        trace_seconds=_trace_flops(lm, sample, request.samples) / speed if request.trace else 0.0,
    )


def _probe_flops(lm: LanguageModel, sample: Sample) -> float:
    """Operations of verifying each fact once: every probe with its answer and with the other one."""
    block, head = _weights(lm)
    asked = [(p.text, p.expected) for case in sample.cases for probes in case.probes.values() for p in probes]
    texts = sum(len(encode(lm.tokenizer, f"{text} {answer}").ids) for text, answer in asked)
    answers = sum(len(encode(lm.tokenizer, answer).ids) for _, answer in asked)
    return 2 * 2 * (block * lm.architecture.n_layers * texts + head * answers)


def _trace_flops(lm: LanguageModel, sample: Sample, samples: int) -> float:
    """Operations of restoring every cell: the tokens from its own on, the layers above it, one projection."""
    block, head = _weights(lm)
    n_layers = lm.architecture.n_layers
    total = 0.0
    for case in sample.cases:
        encoded = encode(lm.tokenizer, case.fact.text)
        tokens = len(encoded.ids) - encoded.tokens_of(*case.fact.span).start
        total += block * (tokens * (tokens + 1) / 2) * (n_layers * (n_layers + 1) / 2) + head * tokens * n_layers
    return 2 * len(TRACED) * samples * total


def _weights(lm: LanguageModel) -> tuple[float, float]:
    blocks = lm.model.get_submodule(lm.architecture.blocks)
    return sum(p.numel() for p in blocks.parameters()) / lm.architecture.n_layers, lm.weight_of(lm.head).numel()
