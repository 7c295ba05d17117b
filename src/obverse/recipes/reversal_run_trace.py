"""``--then trace``: where each trained model keeps the forward fact, and how that differs from next-token prediction.

Each model has a file, ``traces/FACTS-MODEL.json``: of each fact that the model answers rightly, the mean indirect
effect of each part of the prompt at each layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from obverse.core import Fact, Interval, write_text
from obverse.data.reversal import read_reversal
from obverse.data.starter import starter_cases
from obverse.locating.trace import ROLES, CausalTrace, Role, TraceKind
from obverse.locating.tracing import TraceConfig
from obverse.measuring.statistics import mean_interval
from obverse.model.language_model import LanguageModel
from obverse.recipes.repro_reversal_plan import UNTRAINED
from obverse.recipes.reversal_run_facts import beginning, group_facts
from obverse.recipes.reversal_run_measure import aligned
from obverse.recipes.reversal_run_plan import MADE, TINY, RunPlan
from obverse.recipes.reversal_run_results import BASE
from obverse.recipes.reversal_run_train import Work
from obverse.recipes.traced import traced
from obverse.report.bench_sheets import Cell, Sheet

Table = NDArray[np.float64]
"""Effects by role (rows, in the order of `ROLES`) and layer; NaN where there is no token."""

KINDS: tuple[TraceKind, ...] = ("hidden", "mlp", "attn")

_NOTES = (
    "The largest mean effect of each part of the prompt, in percentage points of the answer's first token, with its "
    "95 % interval over facts, and its layer. Traced are facts that the model answers rightly.",
    f"less {BASE}: {BASE} minus this objective at the same place, over the facts that both answer, paired; points.",
)


@dataclass(frozen=True, slots=True)
class Traced:
    """What was traced in the models of an objective.

    Attributes:
        objective: What they were trained with.
        facts: Which facts.
        asked: Facts in all.
        effects: Person → kind → table. The same person in models that share their people is averaged.
        total: Person → what the noise takes away.
    """

    objective: str
    facts: str
    asked: int
    effects: Mapping[str, Mapping[TraceKind, Table]]
    total: Mapping[str, float]

    def mean(self, kind: TraceKind) -> Table:
        """Return the mean over facts."""
        return _mean([tables[kind] for tables in self.effects.values()])


def run_traces(plan: RunPlan) -> None:
    """Trace the facts in every trained model of a plan; what was traced is not traced again.

    Raises:
        ObverseError: If the set has no people trained name first.
    """
    for trial in plan.trials:
        if trial.objective != UNTRAINED:
            _trace(plan, Work.of(plan, trial))


def window_layers(n_layers: int) -> int:
    """Return how many layers of a model are restored together: a fifth of them, at most ten."""
    return min(10, max(1, n_layers // 5))


def _trace(plan: RunPlan, work: Work) -> None:
    path = plan.folder / "traces" / f"{plan.then.facts}-{work.trial.id}.json"
    lm = LanguageModel.load(str(work.trained), device="cpu" if plan.model == TINY else None)
    config = TraceConfig(kinds=KINDS, window=window_layers(lm.architecture.n_layers))
    identity = {
        "trace": config.model_dump(mode="json"), "limit": plan.then.limit, "model": lm.fingerprint.to_json(),
    }  # fmt: skip
    if path.is_file() and json.loads(path.read_text("utf-8"))["identity"] == json.loads(json.dumps(identity)):
        return
    facts = _facts(plan, work, lm)
    found = traced(lm, [*facts.values()], config, expect=True, label=f"Tracing {work.trial.id}")
    told = {
        person: {
            "total": one.total_effect,
            "effects": {kind: _listed(by_role(one, kind)) for kind in KINDS},
        }
        for person, one in zip(facts, found, strict=True)
        if isinstance(one, CausalTrace)
    }
    write_text(path, json.dumps({"identity": identity, "asked": len(facts), "facts": told}) + "\n")


def _facts(plan: RunPlan, work: Work, lm: LanguageModel) -> dict[str, Fact]:
    if plan.then.facts == "starter":
        return {
            case.id: Fact(case.fact.subject, case.fact.prompt, case.fact.target_true or case.fact.target)
            for case in starter_cases()[: plan.then.limit]
        }
    before = beginning(lm) + aligned(work.trial.arm)
    return {str(one.entity): one.fact for one in group_facts(read_reversal(work.set), plan.then.limit, before)}


def by_role(trace: CausalTrace, kind: TraceKind) -> Table:
    """Return the mean indirect effect of each role's tokens at each layer; NaN for a role without tokens."""
    table = trace.indirect_effect(kind).double().cpu().numpy()
    rows = [table[tokens.start : tokens.stop] for tokens in trace.roles.values()]
    return np.stack([of.mean(0) if len(of) else np.full(table.shape[1], np.nan) for of in rows])


def _listed(table: Table) -> list[list[float | None]]:
    return [[None if np.isnan(value) else round(float(value), 6) for value in row] for row in table]


def read_traces(folder: Path, config: Mapping[str, Any]) -> list[Traced]:
    """Read what ``--then trace`` found in a run's folder; nothing if it was not asked."""
    made = config["data"] in MADE
    places: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted(folder.glob("traces/*.json")):
        facts, _, model = path.stem.partition("-")
        objective, _, seed = model.rpartition("-seed")
        own = f"{seed}:" if made and facts == "group" else ""
        places.setdefault((facts, objective), []).append((own, json.loads(path.read_text("utf-8"))))
    found = [_joined(objective, facts, files) for (facts, objective), files in places.items()]
    return sorted((one for one in found if one.effects), key=lambda one: (one.facts, one.objective != BASE))


def _joined(objective: str, facts: str, files: Sequence[tuple[str, dict[str, Any]]]) -> Traced:
    effects: dict[str, dict[TraceKind, list[Table]]] = {}
    total: dict[str, list[float]] = {}
    for own, read in files:
        for person, told in read["facts"].items():
            total.setdefault(own + person, []).append(told["total"])
            for kind in KINDS:
                table = np.array(told["effects"][kind], dtype=np.float64)
                effects.setdefault(own + person, {}).setdefault(kind, []).append(table)
    asked = sum(read["asked"] for _, read in files)
    tables: dict[str, dict[TraceKind, Table]] = {}
    for person, by_kind in effects.items():
        tables[person] = {kind: _mean(of) for kind, of in by_kind.items()}
    return Traced(objective, facts, asked, tables, {person: sum(of) / len(of) for person, of in total.items()})


def _mean(tables: Sequence[Table]) -> Table:
    stacked = np.stack(tables)
    there = ~np.isnan(stacked)
    return np.where(there.any(0), np.nansum(stacked, 0) / np.maximum(there.sum(0), 1), np.nan)


def differences(base: Traced, other: Traced, kind: TraceKind) -> tuple[Table, int]:
    """Return next-token prediction minus another objective, over the facts that both answer, and how many those are."""
    shared = sorted(base.effects.keys() & other.effects.keys())
    if not shared:
        return np.full_like(base.mean(kind), np.nan), 0
    return _mean([base.effects[one][kind] - other.effects[one][kind] for one in shared]), len(shared)


def peak(one: Traced, kind: TraceKind, role: Role) -> tuple[int, Interval] | None:
    """Return the layer where a role's mean effect is largest, and the effect; None of a role without tokens."""
    row = one.mean(kind)[ROLES.index(role)]
    if np.isnan(row).all():
        return None
    layer = int(np.nanargmax(row))
    return layer, at(one, kind, role, layer)


def at(one: Traced, kind: TraceKind, role: Role, layer: int) -> Interval:
    """Return the mean effect at a place, with its interval over facts."""
    values = [float(tables[kind][ROLES.index(role), layer]) for tables in one.effects.values()]
    return mean_interval([value for value in values if not np.isnan(value)], shares=False)


def difference_at(base: Traced, other: Traced, kind: TraceKind, role: Role, layer: int) -> Interval | None:
    """Return next-token prediction minus another objective at a place, paired by fact; None if they share no fact."""
    place = ROLES.index(role)
    pairs = [
        float(base.effects[one][kind][place, layer] - other.effects[one][kind][place, layer])
        for one in sorted(base.effects.keys() & other.effects.keys())
    ]
    found = [value for value in pairs if not np.isnan(value)]
    return mean_interval(found, shares=False) if found else None


def trace_sheet(found: Sequence[Traced], facts: str) -> Sheet | None:
    """Return the peaks of some facts, by objective, kind and part of the prompt."""
    here = [one for one in found if one.facts == facts]
    base = next((one for one in here if one.objective == BASE), None)
    rows: list[tuple[Cell, ...]] = []
    for one in here:
        for kind in KINDS:
            for role in ROLES:
                if (top := peak(one, kind, role)) is None:
                    continue
                less = difference_at(base, one, kind, role, top[0]) if base and base is not one else None
                rows.append(
                    (
                        Cell(one.objective), Cell(kind), Cell(role), Cell(str(top[0])), _points(top[1]),
                        _points(less) if less else Cell("-"), Cell(f"{len(one.effects)} of {one.asked}"),
                    )
                )  # fmt: skip
    if not rows:
        return None
    head = ("objective", "restored", "part", "layer", "effect", f"less {BASE}", "facts")
    return Sheet(f"Where the forward fact sits ({facts})", head, tuple(rows), _NOTES)


def _points(found: Interval) -> Cell:
    mean, low, high = (f"{value * 100:.1f}" for value in (found.mean, found.low, found.high))
    return Cell(mean, f"{low} to {high}", False, found.mean)


def traces_json(found: Sequence[Traced]) -> list[dict[str, Any]]:
    """Return the mean maps of each objective as JSON values."""
    return [
        {
            "objective": one.objective, "facts": one.facts, "n": len(one.effects), "asked": one.asked,
            "roles": list(ROLES), "effects": {kind: _listed(one.mean(kind)) for kind in KINDS},
            "total_effect": sum(one.total.values()) / len(one.total),
        }
        for one in found
    ]  # fmt: skip
