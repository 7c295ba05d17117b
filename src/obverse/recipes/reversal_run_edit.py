"""``--then edit``: facts are written into each trained model, and the edit is asked in reverse.

Each model has a benchmark of its own, ``edits/FACTS-MODEL``, as `obverse bench` writes it: it goes on where it was
stopped, and `obverse bench report` shows it case by case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from obverse.core import Interval, write_text
from obverse.data.reversal import read_reversal
from obverse.editing import editors
from obverse.editing._fit import FitConfig
from obverse.measuring.statistics import mean_interval
from obverse.model.language_model import LanguageModel
from obverse.recipes.bench import BenchRequest, read_bench, run_bench
from obverse.recipes.models import ModelChoice
from obverse.recipes.repro_reversal_plan import UNTRAINED
from obverse.recipes.reversal_run_facts import beginning, group_facts, records
from obverse.recipes.reversal_run_measure import aligned
from obverse.recipes.reversal_run_plan import MADE, TINY, RunPlan
from obverse.recipes.reversal_run_tables import percent_cell
from obverse.recipes.reversal_run_train import Work
from obverse.report.bench_sheets import Cell, Sheet
from obverse.verifying.measures import MeasureConfig

METRICS = ("efficacy_success", "efficacy_generated", "generalization_success", "specificity_success",
           "reverse_success", "reverse_generated")  # fmt: skip
"""What is told of an edit."""

_NOTES = (
    "Facts: people trained name first; each gets the next one's description. efficacy: the new description is likelier "
    "than the old one after the name (said: it is what the model writes); paraphrases: in held-out wordings; "
    "neighbours: other people keep theirs.",
    "reverse: the name is likelier after the new description than after the old one; said: it is what the model writes "
    "after the new one. In percent of persons with 95 % intervals; the unedited model beside.",
)


@dataclass(frozen=True, slots=True)
class Edited:
    """An editor on the models of an objective.

    Attributes:
        objective: What the models were trained with.
        method: The editor; ``unedited`` for none.
        facts: Which facts were written.
        failed: Edits that failed; they count with the unedited model's values.
        metrics: Name → mean over persons, with its interval.
    """

    objective: str
    method: str
    facts: str
    failed: int
    metrics: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def run_edits(plan: RunPlan) -> None:
    """Edit every trained model of a plan with every editor, each fact on the fresh model.

    Raises:
        ObverseError: If an editor does not suit the models.
    """
    for trial in plan.trials:
        if trial.objective != UNTRAINED:
            _edit(plan, Work.of(plan, trial))


def _edit(plan: RunPlan, work: Work) -> None:
    out = plan.folder / "edits" / f"{plan.then.facts}-{work.trial.id}"
    lm = LanguageModel.load(str(work.trained), device="cpu" if plan.model == TINY else None)
    dataset = plan.then.facts
    if dataset == "group":
        dataset = str(_facts_file(work, lm, plan.then.limit, aligned(work.trial.arm)))
    settings: dict[str, Any] = {} if plan.then.layer is None else {"layers": [plan.then.layer]}
    if plan.model == TINY:
        settings = {**_tiny(lm), "moment.corpus": str(_corpus(work)), **settings}
    if (reverse := _reverse(dataset)) is not None:
        settings["reverse"] = reverse
    request = BenchRequest(
        dataset,
        plan.then.methods,
        out,
        ModelChoice(str(work.trained), device="cpu" if plan.model == TINY else None),
        limit=plan.then.limit,
        measure=MeasureConfig(generation=False, locality=False, drift_tokens=0),
        overrides=[*_overrides(plan.then.methods, settings, tiny=plan.model == TINY), *plan.then.settings],
    )
    run_bench(request)


def _tiny(lm: LanguageModel) -> dict[str, Any]:
    """Return settings for the tiny model, which keeps a fact at the prompt's last token (see ``--then trace``)."""
    return {"layers": [lm.architecture.n_layers // 2], "lookup": "last", "clamp": 20.0, "moment_weight": 10.0}


TINY_TUNING: Mapping[str, Any] = {"learning_rate": 0.01, "steps": 50, "loss": "sequence"}
"""Of editors that train weights, in the tiny model: theirs are small."""


def _overrides(methods: Sequence[str], settings: Mapping[str, Any], *, tiny: bool) -> Iterator[str]:
    """Yield those of the settings that each editor has, as ``method.key=value``."""
    for method in methods:
        kind = editors.load(method).config_type
        own = {**settings, **(TINY_TUNING if tiny and issubclass(kind, FitConfig) else {})}
        known = kind.model_fields
        yield from (f"{method}.{key}={json.dumps(value)}" for key, value in own.items() if key.split(".")[0] in known)


def _facts_file(work: Work, lm: LanguageModel, limit: int, before: str) -> Path:
    path = work.folder / "edits" / f"facts-{work.trial.id}.json"
    facts = records(group_facts(read_reversal(work.set), limit, beginning(lm) + before))
    return write_text(path, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


def _reverse(dataset: str) -> str | None:
    """Return the reverse statement that all facts of a file share; none of facts that have a relation."""
    if not dataset.endswith(".json"):
        return None
    (template,) = {row["reverse"][0] for row in json.loads(Path(dataset).read_text("utf-8"))}
    return template


def _corpus(work: Work) -> Path:
    """Write the sentences as plain text, on which second moments are counted: a tiny model knows no other words."""
    path = work.folder / "edits" / f"text-{work.set.name}.txt"
    if not path.is_file():
        write_text(path, "\n\n".join(row.text for row in read_reversal(work.set).train) + "\n")
    return path


def read_edits(folder: Path, config: Mapping[str, Any]) -> list[Edited]:
    """Read what ``--then edit`` found in a run's folder; nothing if it was not asked.

    Args:
        folder: The run's folder.
        config: Settings of the run, by which seeds are known to have the same people or not.
    """
    made = config["data"] in MADE
    found: dict[tuple[str, str, str], dict[str, list[dict[str, float]]]] = {}
    failed: dict[tuple[str, str, str], int] = {}
    for path in sorted(folder.glob("edits/*/unedited/run.json")):
        facts, _, model = path.parent.parent.name.partition("-")
        objective, _, seed = model.rpartition("-seed")
        bench = read_bench(path.parent.parent)
        for label, run in bench.runs.items():
            place = (facts, objective, label)
            failed[place] = failed.get(place, 0) + sum(case.error is not None for case in run.cases)
            for case, values in run.values(bench.unedited()).items():
                person = f"{seed}:{case}" if made and facts == "group" else case
                found.setdefault(place, {}).setdefault(person, []).append(dict(values))
    return [
        Edited(objective, label, facts, failed[facts, objective, label], _means([*by_person.values()]))
        for (facts, objective, label), by_person in found.items()
    ]


def _means(people: Sequence[Sequence[dict[str, float]]]) -> dict[str, Interval]:
    """Return the mean over persons of each metric; of a person in several models, of their mean."""
    out: dict[str, Interval] = {}
    for name in METRICS:
        values = [[one[name] for one in of if name in one] for of in people]
        if any(values):
            out[name] = mean_interval([sum(of) / len(of) for of in values if of])
    return out


def edit_sheet(found: Sequence[Edited], facts: str) -> Sheet | None:
    """Return the table of some facts: forward efficacy against reverse success, by objective and editor."""
    rows = [
        (
            Cell(one.objective),
            Cell(one.method),
            *(percent_cell(one.metrics[name]) if name in one.metrics else Cell("-") for name in METRICS),
            Cell(str(next(iter(one.metrics.values())).n)),
            Cell(str(one.failed)),
        )
        for one in found
        if one.facts == facts and one.metrics
    ]
    if not rows:
        return None
    asked = ("efficacy", "said", "paraphrases", "neighbours", "reverse", "reverse said")
    head = ("objective", "editor", *asked, "facts", "failed")
    whose = "the people trained name first" if facts == "group" else "the starter facts"
    return Sheet(f"Does an edit hold in reverse? Edits of {whose}", head, tuple(rows), _NOTES)
