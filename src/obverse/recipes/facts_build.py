"""From plain triples to a CounterFact-style set for one model: ``obverse facts build``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import DataError, ObverseError, file_hash, write_whole
from obverse.data.fact_sets import FactSet, SetChoices, make_set
from obverse.data.templates import Templates, read_templates
from obverse.data.triples import objects, read_triples, truths
from obverse.recipes.destination import check_file
from obverse.recipes.facts_held import HeldFacts, KnownBy, held_facts
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record, write_json
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is asked of `run_facts_build`.

    Attributes:
        triples: File of triples, see `obverse.data.triples.read_triples`.
        relations: File of templates, see `obverse.data.templates.read_templates`.
        out: File for the set; ends in .json. What it was made of is written beside, as NAME.meta.json.
        model: The model whose knowledge counts.
        known_by: When a fact counts as known.
        keep_unknown: Whether facts that the model does not know are kept too.
        choices: Seed and sizes.
        replace: Whether an older file may be replaced.
        dry_run: Whether to stop after the plan, before a model is loaded.
    """

    triples: Path
    relations: Path
    out: Path
    model: ModelChoice = field(default_factory=ModelChoice)
    known_by: KnownBy = "likeliest"
    keep_unknown: bool = False
    choices: SetChoices = field(default_factory=SetChoices)
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RelationCounts:
    """How many facts of a relation there are at each step.

    Attributes:
        triples: Triples given.
        subjects: Subjects, each asked about once.
        objects: Objects to choose from.
        known: Facts that the model knows; None before it was asked.
        cases: Cases written; None before.
    """

    triples: int
    subjects: int
    objects: int
    known: int | None = None
    cases: int | None = None


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What will be done.

    Attributes:
        relations: Counts by relation.
        known_by: When a fact counts as known.
        choices: Seed and sizes.
        file: Where the set will be.
    """

    relations: Mapping[str, RelationCounts]
    known_by: KnownBy
    choices: SetChoices
    file: Path


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What came of it.

    Attributes:
        plan: What was to be done.
        relations: Counts by relation; those of the plan after a dry run.
        dropped: Reason → facts that did not become a case.
        seconds: Time by step.
        file: Where the set is; None after a dry run.
    """

    plan: BuildPlan
    relations: Mapping[str, RelationCounts]
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    file: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "known_by": self.plan.known_by,
            "choices": asdict(self.plan.choices),
            "relations": {name: asdict(counts) for name, counts in self.relations.items()},
            "dropped": dict(self.dropped),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "file": str(self.file) if self.file else None,
            "meta": str(meta_of(self.file)) if self.file else None,
        }


def run_facts_build(request: BuildRequest, announce: Callable[[BuildPlan], None] = lambda _: None) -> BuildResult:
    """Make a set of the facts that a model knows, and save it.

    Args:
        request: What is asked.
        announce: Called with the plan before the model is loaded.

    Raises:
        UnknownName: If a file does not exist.
        DataError: If a file is malformed, a relation has no templates, or the model knows none of the facts.
        ObverseError: If the set cannot be written.
    """
    _check_out(request)
    templates = read_templates(request.relations)
    triples = read_triples(request.triples, templates)
    true, start, steps = truths(triples), now(), Steps()
    given = Counter(triple.relation for triple in triples)
    counts = {name: RelationCounts(given[name], len(of), len(objects(of))) for name, of in true.items()}
    plan = BuildPlan(counts, request.known_by, request.choices, request.out)
    announce(plan)
    if request.dry_run:
        return BuildResult(plan, counts)
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    with steps.step("Asking what the model knows"):
        found = held_facts(lm, templates, true, request.known_by, request.keep_unknown)
    made = make_set(templates, true, found.held, request.choices)
    if not made.records:
        raise _nothing(found, made)
    result = BuildResult(plan, _counted(plan, found, made), {**found.dropped, **made.dropped}, steps.seconds,
                         request.out)  # fmt: skip
    write_whole(request.out, lambda part: write_json(part, made.records))
    meta = _meta(request, lm, templates, result, start)
    write_whole(meta_of(request.out), lambda part: write_json(part, meta))
    return result


def meta_of(out: Path) -> Path:
    """Return where it is written what a set was made of: beside it, e.g. ``set.meta.json``."""
    return out.with_suffix(".meta.json")


def _check_out(request: BuildRequest) -> None:
    out = request.out
    if out.suffix.lower() != ".json" or out.name.lower().endswith(".meta.json"):
        raise ObverseError(f"{out} does not end in .json.", "Name the set for example --out facts.json.")
    check_file(out, overwrite=request.replace or request.dry_run)


def _nothing(found: HeldFacts, made: FactSet) -> DataError:
    why = "; ".join(f"{reason}: {count}" for reason, count in {**found.dropped, **made.dropped}.items())
    return DataError(
        f"No fact is left to make a case of ({why}).",
        "Give better-known facts, word the prompts so that the object follows at once, or pass --keep-unknown.",
    )


def _counted(plan: BuildPlan, found: HeldFacts, made: FactSet) -> dict[str, RelationCounts]:
    relations = Counter(str(record["case_id"]).partition(":")[0] for record in made.records)
    return {
        name: RelationCounts(of.triples, of.subjects, of.objects, found.known[name], relations[name])
        for name, of in plan.relations.items()
    }


def _meta(
    request: BuildRequest, lm: LanguageModel, templates: Mapping[str, Templates], result: BuildResult, start: str
) -> dict[str, Any]:
    """Return what the set was made of."""
    config = {
        "known_by": request.known_by,
        "keep_unknown": request.keep_unknown,
        **asdict(request.choices),
        "inputs": {
            kind: {"name": path.name, "sha256": file_hash(path)}
            for kind, path in (("triples", request.triples), ("relations", request.relations))
        },
    }
    return {
        "format": "CounterFact, with reverse",
        "sha256": file_hash(request.out),
        "cases": sum(counts.cases or 0 for counts in result.relations.values()),
        "relations": {name: asdict(counts) for name, counts in result.relations.items()},
        "dropped": dict(result.dropped),
        **run_record("facts build", config, lm, request.choices.seed, start),
    }
