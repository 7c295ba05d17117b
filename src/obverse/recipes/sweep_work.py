"""The long work of a sweep, record by record: edit and verify at each layer, trace, and read the records again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from obverse.core import KINDS, Case, EditFailed, Fact, Kind, Progress, Run
from obverse.editing.moments import MomentConfig, second_moment, uncounted
from obverse.locating.noise import noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.locating.tracing import TraceConfig, trace_all
from obverse.measuring import likelihoods
from obverse.recipes.plan import Editor
from obverse.recipes.sweep_facts import case_hash
from obverse.recipes.sweep_scores import Shares
from obverse.verifying.probes import rival

if TYPE_CHECKING:
    from obverse.editing import Edit
    from obverse.model.language_model import LanguageModel

TRACED: tuple[TraceKind, ...] = ("mlp", "hidden")
"""What is restored: first what is meant to tell where to edit, as ROME takes it."""

TRACES_AT_ONCE = 8
MOMENT_BYTES = 4e9
"""Second moments counted in one pass, with the copies that are made of them."""

Item = TypeVar("Item")


def count_moments(lm: LanguageModel, layers: Sequence[int], config: MomentConfig) -> None:
    """Count the second moments of the layers that lack them: in one pass, or as few as memory allows."""
    missing = uncounted(lm, layers, config)
    at_once = max(1, int(MOMENT_BYTES / (16 * lm.architecture.inner**2)))
    for group in _groups(missing, at_once):
        second_moment(lm, group, config)


def successes(lm: LanguageModel, case: Case) -> dict[Kind, float]:
    """Return by kind the share of a case's probes that succeed, as `verifying.Answer.success` has it.

    Nothing is generated, which would take as long again; probes without an alternative are left out.
    """
    judged: list[tuple[Kind, tuple[str, str], tuple[str, str]]] = [
        (kind, (p.text, p.expected), other)
        for kind, probes in case.probes.items()
        for p in probes
        if (other := rival(p))
    ]
    asked = list(dict.fromkeys(pair for _, own, other in judged for pair in (own, other)))
    found = dict(zip(asked, (one.mean for one in likelihoods(lm, asked)), strict=True))
    held: dict[Kind, list[bool]] = {}
    for kind, own, other in judged:
        held.setdefault(kind, []).append(found[own] > found[other])
    return {kind: sum(each) / len(each) for kind, each in held.items()}


def edit_layers(
    lm: LanguageModel,
    run: Run,
    cases: Sequence[Case],
    layers: Sequence[int],
    editor_at: Callable[[int], Editor],
    at_once: int,
) -> None:
    """Edit each fact at each layer, each time on the fresh model, and record what held; done ones are passed over.

    An edit that fails is recorded as one that changed nothing.

    Args:
        lm: The model; untouched.
        run: Where records go.
        cases: The facts.
        layers: The layers.
        editor_at: Layer → editor.
        at_once: Facts whose values are optimized side by side.
    """
    done = run.done()
    todo = {layer: [case for case in cases if _id(layer, case) not in done] for layer in (None, *layers)}
    with Progress("editing and verifying at each layer", sum(map(len, todo.values()))) as progress:
        for layer, waiting in todo.items():
            for group in _groups(waiting, at_once):
                facts = [case.fact for case in group]
                edits = [None] * len(group) if layer is None else edit_side_by_side(editor_at(layer), lm, facts)
                for case, edit in zip(group, edits, strict=True):
                    with edit.applied(lm) if edit else nullcontext():
                        shares = successes(lm, case)
                    failed = {} if edit or layer is None else {"failed": True}
                    run.append(
                        {"id": _id(layer, case), "layer": layer, "fact": case.id, "success": {**shares}, **failed}
                    )
                    progress.advance(1, "unedited" if layer is None else f"layer {layer}")


def edit_side_by_side(editor: Editor, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit | None]:
    """Return one edit a fact, each made on the fresh model, in one batch where the method can; None where it failed."""
    each: Callable[[LanguageModel, Sequence[Fact]], list[Edit]] | None = getattr(editor, "edit_each", None)
    try:
        if each is not None:
            return [*each(lm, facts)]
        if len(facts) == 1:
            return [editor.edit(lm, facts)]
    except EditFailed:
        if len(facts) == 1:
            return [None]
    return [edit for fact in facts for edit in edit_side_by_side(editor, lm, [fact])]


def trace_facts(lm: LanguageModel, run: Run, cases: Sequence[Case], samples: int) -> None:
    """Trace the true facts and record the indirect effects at the subject's last token; done ones are passed over.

    A fact whose first token the model does not answer is recorded as skipped, with the reason.
    """
    done = run.done()
    waiting = [case for case in cases if _trace_id(samples, case) not in done]
    if not waiting:
        return
    config = TraceConfig(kinds=TRACED, samples=samples)
    noise = noise_for(lm, config.noise)
    for group in _groups(waiting, TRACES_AT_ONCE):
        facts = [_true(case.fact) for case in group]
        for case, found in zip(group, trace_all(lm, facts, config, expect=True, noise=noise), strict=True):
            record: dict[str, Any] = {"id": _trace_id(samples, case), "fact": case.id}
            if isinstance(found, CausalTrace):
                last = found.subject.stop - 1
                record["effects"] = {kind: found.indirect_effect(kind)[last].tolist() for kind in TRACED}
            else:
                record["skipped"] = found.reason
            run.append(record)


def _true(fact: Fact) -> Fact:
    return replace(fact, target=fact.target_true or fact.target, target_true=None)


class Records:
    """What a run has found, by fact in the order of the cases.

    Args:
        run: The run.
        cases: The facts.
        samples: Noise samples of the traces that count.
    """

    def __init__(self, run: Run, cases: Sequence[Case], samples: int) -> None:
        self._found: dict[str, Any] = {str(record["id"]): record for record in run.records()}
        self._cases, self._samples = cases, samples

    def shares(self, layer: int | None) -> Shares:
        """Return success by fact and kind at a layer; of the unedited model if None."""
        rows = [self._found[_id(layer, case)]["success"] for case in self._cases]
        return np.array([[row.get(kind, np.nan) for kind in KINDS] for row in rows], dtype=np.float64)

    def failed(self, layer: int) -> int:
        """Return how many edits failed at a layer."""
        return sum(bool(self._found[_id(layer, case)].get("failed")) for case in self._cases)

    def effects(self, kind: str, layers: Sequence[int]) -> dict[int, list[float | None]]:
        """Return layer → indirect effect at the subject's last token by fact; None where a fact was not traced."""
        found = [self._trace(case).get("effects", {}).get(kind) for case in self._cases]
        return {layer: [effects[layer] if effects else None for effects in found] for layer in layers}

    def untraced(self) -> dict[str, int]:
        """Return reason → facts that were not traced."""
        return dict(Counter(reason for case in self._cases if (reason := self._trace(case).get("skipped"))))

    def _trace(self, case: Case) -> dict[str, Any]:
        return self._found.get(_trace_id(self._samples, case), {})


def _id(layer: int | None, case: Case) -> str:
    return f"{'unedited' if layer is None else f'layer {layer}'}, {case_hash(case)[:24]}"


def _trace_id(samples: int, case: Case) -> str:
    return f"trace of {samples}, {case_hash(case)[:24]}"


def _groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
