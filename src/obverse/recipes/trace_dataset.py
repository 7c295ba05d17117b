"""Trace a whole set of facts and average the effects; a run that is stopped goes on where it was.

::

    run.json · records.00000.jsonl · summary.json     see `obverse.core.Run`
    cases/ID.safetensors                              a trace a fact
    averages.json · report.html                       effects by role and layer
    average_maps.png|svg|pdf · average_lines.…        the same, drawn
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import (
    Case,
    ConfigError,
    DataError,
    EditMismatch,
    ObverseError,
    Progress,
    Run,
    UnknownName,
    write_whole,
)
from obverse.core.plotting import FORMATS, write_figure
from obverse.data.known import dataset
from obverse.locating.averages import Averages
from obverse.locating.figures import average_lines, average_maps
from obverse.locating.noise import check_rule, noise_for
from obverse.locating.trace import ROLES, CausalTrace
from obverse.locating.tracing import Skipped, TraceConfig, trace_all
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record, slug, write_json
from obverse.recipes.steps import Steps
from obverse.recipes.trace_folder import NO_FIGURES, can_draw
from obverse.report.trace_page import write_averages_page

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

GROUP = 8
"""Facts traced together on a GPU, and lost at most when a run is killed. A CPU is busy with one."""


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What is asked of `run_dataset`.

    Attributes:
        dataset: ``known``, ``builtin``, or a file of facts.
        out: Folder of the run; an earlier run there with the same settings is gone on with.
        model: The model.
        config: Settings of the traces.
        limit: How many facts to try, from the first; all if None.
        ids: Which facts, by id; all if None.
        expect: Whether to leave out facts whose target the model does not answer.
        figures: Whether to draw the averages.
        overwrite: Whether to delete an earlier run in the folder and begin anew.
        command: The command line that asks, for the page.
    """

    dataset: str
    out: Path
    model: ModelChoice = field(default_factory=ModelChoice)
    config: TraceConfig = field(default_factory=TraceConfig)
    limit: int | None = None
    ids: Sequence[str] | None = None
    expect: bool = True
    figures: bool = True
    overwrite: bool = False
    command: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetResult:
    """What came of it.

    Attributes:
        averages: Effects by role and layer over the facts asked for.
        traced: Number of facts traced.
        skipped: Reason → number of facts left out for it, the commonest first.
        resumed: How many of both were there from an earlier start.
        notes: What was decided on the way, in sentences.
        seconds: Time by step.
        folder: Where everything is.
    """

    averages: Averages
    traced: int
    skipped: Mapping[str, int]
    resumed: int
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "averages": self.averages.to_json(),
            "traced": self.traced,
            "skipped": dict(self.skipped),
            "resumed": self.resumed,
            "notes": list(self.notes),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "folder": str(self.folder),
        }


def run_dataset(request: DatasetRequest) -> DatasetResult:
    """Trace the facts of a set, a few at a time, and average the effects.

    A fact that cannot be traced is a record with its reason. The noise level is measured on the subjects of the whole
    set, whichever of them are asked for, so a run may be widened later.

    Args:
        request: What is asked.

    Raises:
        UnknownName: If there is no such set, fact or model.
        ConfigError: If a setting is wrong, or no fact is asked for.
        RunConflict: If the folder holds a run with other settings, or one that another process is at.
        ObverseError: If no fact could be traced; the records say why.
    """
    start, steps = now(), Steps()
    check_rule(request.config.noise)
    with steps.step("Reading the facts"):  # the first time, `known` is fetched
        cases = dataset(request.dataset)
        chosen = _chosen(request, cases)
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    about = run_record("trace", _settings(request, cases, lm), lm, request.config.seed, start)
    del about["end"]  # it has only begun
    about["dataset"] = request.dataset
    with Run.open(request.out, about.pop("config"), about=about, replace=request.overwrite) as run:
        todo = set(run.todo(case.id for case in chosen))
        with steps.step("Tracing"):
            _trace(request, lm, run, cases, [case for case in chosen if case.id in todo])
        with steps.step("Averaging", shown=True):
            traces, skipped = _collected(run, lm, {case.id for case in chosen})
            averages = _averages(request, traces, skipped)
        with steps.step("Drawing and writing", shown=True):
            drawn = request.figures and can_draw()
            _write(request, averages, skipped, about["versions"], drawn)
        run.finish(_summary(averages, skipped, start, steps))
    notes = (NO_FIGURES,) if request.figures and not drawn else ()
    resumed = len(chosen) - len(todo)
    return DatasetResult(averages, len(traces), skipped, resumed, notes, steps.seconds, request.out)


def _chosen(request: DatasetRequest, cases: Sequence[Case]) -> list[Case]:
    """Return the facts asked for, in the order of the set."""
    if request.limit is not None and request.limit < 1:
        raise ConfigError(f"The limit is {request.limit}; at least one fact is needed.", "Leave it out for all facts.")
    if request.ids is None:
        return list(cases[: request.limit])
    known = [case.id for case in cases]
    missing = [id for id in request.ids if id not in set(known)]
    if missing:
        near = get_close_matches(missing[0], known, n=3, cutoff=0.6)
        raise UnknownName(
            f"The data set {request.dataset} has no fact with the id {', '.join(map(repr, missing[:5]))}.",
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"Its {len(known):,} ids are like {', '.join(known[:3])}.",
        )
    if not request.ids:
        raise ConfigError("The list of ids is empty.", "Name at least one fact, or leave it out for all.")
    wanted = set(request.ids)
    return [case for case in cases if case.id in wanted][: request.limit]


def _settings(request: DatasetRequest, cases: Sequence[Case], lm: LanguageModel) -> dict[str, Any]:
    """Return all that a trace depends on. How much memory it may take is not of it, nor which facts are asked for."""
    facts = [(case.id, case.fact.subject, case.fact.prompt, case.fact.target) for case in cases]
    return {
        "facts": hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
        "model": lm.fingerprint.to_json(),
        "dtype": str(lm.dtype).removeprefix("torch."),
        "expect": request.expect,
        "trace": request.config.model_dump(mode="json", exclude={"memory"}),
    }


def _trace(request: DatasetRequest, lm: LanguageModel, run: Run, cases: Sequence[Case], todo: Sequence[Case]) -> None:
    if not todo:
        return
    noise = noise_for(lm, request.config.noise, [case.fact.subject for case in cases])
    found: Counter[str] = Counter()
    with Progress(f"Tracing {len(todo):,} facts", len(todo)) as progress:
        size = 1 if lm.device.type == "cpu" else GROUP
        for start in range(0, len(todo), size):
            group = todo[start : start + size]
            facts = [case.fact for case in group]
            label = group[0].fact.text if size == 1 else f"Facts {start + 1:,} to {start + len(group):,}"
            traces = trace_all(lm, facts, request.config, expect=request.expect, noise=noise, label=label)
            for case, trace in zip(group, traces, strict=True):
                if isinstance(trace, CausalTrace):
                    trace.save(case_file(run.folder, case.id))  # first, so that what is recorded is there
                    outcome = {"clean": trace.clean, "corrupted": trace.corrupted, "answer": trace.answer}
                    run.append({"id": case.id, "status": "traced", **outcome})
                else:
                    run.append({"id": case.id, "status": "skipped", "reason": trace.reason, "detail": trace.detail})
                found[type(trace).__name__] += 1
                note = f"{found[CausalTrace.__name__]:,} traced, {found[Skipped.__name__]:,} skipped"
                progress.advance(note=note)


def case_file(folder: Path, id: str) -> Path:
    """Return where the trace of a fact is kept: under its id, or if that is no plain name, under one made of it."""
    plain = re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", id)
    name = id if plain else f"{slug(id)}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"
    return folder / "cases" / f"{name}.safetensors"


def _collected(run: Run, lm: LanguageModel, ids: set[str]) -> tuple[list[CausalTrace], dict[str, int]]:
    """Return the traces of the facts asked for, and how many there are none of, by reason."""
    records = [record for record in run.records() if record["id"] in ids]
    traces: list[CausalTrace] = []
    for record in records:
        if record["status"] == "traced":
            path = case_file(run.folder, str(record["id"]))
            try:
                traces.append(CausalTrace.load(path, lm))
            except (DataError, EditMismatch) as error:
                hint = f"Delete the line of {record['id']!r} in {run.folder}/records.*.jsonl to trace it anew."
                raise DataError(error.message, hint) from error
    reasons = Counter(str(record["reason"]) for record in records if record["status"] == "skipped")
    return traces, dict(reasons.most_common())


def _averages(request: DatasetRequest, traces: Sequence[CausalTrace], skipped: Mapping[str, int]) -> Averages:
    if not traces:
        why = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items())
        raise ObverseError(
            f"None of the {sum(skipped.values()):,} facts was traced ({why}).",
            f"The records in {request.out} give each fact's reason. Take another model or other facts.",
        )
    return Averages.of(traces)


def _write(
    request: DatasetRequest, averages: Averages, skipped: Mapping[str, int], versions: Mapping[str, str], drawn: bool
) -> None:
    out = request.out
    write_whole(out / "averages.json", lambda part: write_json(part, averages.to_json()))
    if drawn:
        for stem, draw in (("average_maps", average_maps), ("average_lines", average_lines)):
            figure = draw(averages)
            for ending in FORMATS:
                write_figure(figure, out / f"{stem}.{ending}")
    write_averages_page(
        out / "report.html",
        averages,
        skipped=skipped,
        command=request.command,
        versions=versions,
        settings={"dataset": request.dataset, "expect": request.expect, **request.config.model_dump(mode="json")},
    )


def _summary(averages: Averages, skipped: Mapping[str, int], start: str, steps: Steps) -> dict[str, Any]:
    peaks = [
        {"kind": kind, "role": role, "layer": peak.layer, **asdict(peak.effect)}
        for kind in averages.kinds
        for role in ROLES
        if (peak := averages.peak(kind, role)) is not None
    ]
    return {
        "traced": averages.n,
        "skipped": dict(skipped),
        "total_effect": asdict(averages.total_effect),
        "clean": asdict(averages.clean),
        "corrupted": asdict(averages.corrupted),
        "peaks": peaks,
        "start": start,
        "end": now(),
        "seconds": {label: round(seconds, 3) for label, seconds in steps.seconds.items()},
    }
