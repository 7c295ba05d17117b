"""A training run as one HTML page: loss, what was measured on the way, what the model wrote, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Unpack

from obverse.core import Interval
from obverse.measuring.preferences import METRICS
from obverse.report._format import data, interval, line, percent, plain, table
from obverse.report._page import Origin, embed, origin, page, section, write_page
from obverse.report.prefs_page import LETTERS, SHARES
from obverse.report.step_curves import Curve, curve_chart

SHOWN_SAMPLES = 8
"""Texts shown of a measurement: the worst, and as many of the first."""
JSON_BYTES = 1_200_000
"""Size of the embedded JSON, at most; of a longer log every second, third ... entry is kept."""

_MAIN = ("score", "score_max@25", "hits", "compiles", "length", "ended", "distinct_2", "self_bleu_5")
"""Metrics of a scenario that are drawn; all are in the table."""
_OPTIMIZER = {
    "learning_rate": "Learning rate",
    "grad_norm": "Norm of the gradient",
    "tokens_per_second": "Tokens a second",
}
_NATS = ("mle", "conditional", "filtering")
"""Objectives whose loss is in nats a token."""
_BOOKKEEPING = ("id", "step", "epoch", "tokens_seen", *_OPTIMIZER)


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run as it is on disk.

    Attributes:
        summary: What came of it, as ``obverse train --json`` prints it.
        log: What was logged, in order: ``step`` and numbers.
        samples: Name of a scenario → step → texts with prompt and score; those shown.
        about: What else is known: model, versions, machine.
    """

    summary: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]
    samples: Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def write_train_page(path: str | Path, run: TrainedRun, **background: Unpack[Origin]) -> Path:
    """Write `render_train` and return where; an older page is replaced as a whole."""
    return write_page(path, render_train(run, **background))


def render_train(run: TrainedRun, **background: Unpack[Origin]) -> str:
    """Return a training run as a page of HTML.

    Args:
        run: The run.
        **background: What to say about how it was made, see `Origin`.
    """
    plan = run.summary["plan"]
    objective = str(plan["objective"]["name"])
    weights, trained = plan["parameters"]
    batch = math.prod(plan["batch"])
    body = [
        f"<header><p class=kicker>A language model, trained</p><h1>{escape(objective)}: {escape(plan['model'])}</h1>"
        f"<p>{weights:,} weights{f', {trained:,} of them trained' if trained != weights else ''}. "
        f"{plan['steps']:,} steps of {batch:,} rows; {plan['rows']:,} rows of {plan['length']:,} tokens, each seen "
        f"{plan['passes']:.3g} times.</p></header>",
        section("In short", "The first and the last that was logged.", _summary(run)),
        section("Loss", "Each point is the mean over the steps since the one before.", _loss(run, objective)),
        *_measured(run),
        *(section(f"What it wrote: {escape(name)}", "", _samples(found)) for name, found in run.samples.items()),
        section("The optimizer", "", _charts(run, _OPTIMIZER)),
        origin(_facts(run, objective), background),
    ]
    return page(f"{objective}: {plan['model']}", body, embed(_embedded(run)))


def series(run: TrainedRun, name: str) -> dict[int, Interval]:
    """Return step → value of what was logged under a name, with its interval where the log has its ends."""
    found: dict[int, Interval] = {}
    for entry in run.log:
        if name in entry:
            mean = float(entry[name])
            low, high = (float(entry.get(f"{name}_{end}", mean)) for end in ("low", "high"))
            found[int(entry["step"])] = Interval(mean, low, high, _texts(run, name) if f"{name}_low" in entry else 1)
    return found


def _texts(run: TrainedRun, name: str) -> int:
    """Return over how many texts a number was taken."""
    settings = run.about.get("config") or {}
    if name.startswith("kl/"):
        return int((settings.get("kl") or {}).get("samples", 2))
    scenarios = (settings.get("evaluation") or {}).get("scenarios", ())
    return next((int(one["samples"]) for one in scenarios if name.startswith(f"generation/{one['name']}/")), 2)


def _names(run: TrainedRun, beginning: str) -> list[str]:
    """Return the names that were logged with a beginning, ends of intervals left out, in order."""
    names = dict.fromkeys(name for entry in run.log for name in entry if name.startswith(beginning))
    return [name for name in names if not name.endswith(("_low", "_high"))]


def _own(run: TrainedRun) -> list[str]:
    """Return what the objective itself logged at its steps: the loss and its parts."""
    logged = dict.fromkeys(name for entry in run.log if "loss" in entry for name in entry)
    return [name for name in logged if name not in _BOOKKEEPING and "/" not in name]


def _style(name: str) -> Callable[[float], str]:
    return percent if name.rpartition("/")[2] in SHARES else plain


def _summary(run: TrainedRun) -> str:
    shown = [*_own(run)]
    shown += [name for name in _names(run, "generation/") if name.rpartition("/")[2] in ("score", "hits", "compiles")]
    shown += [name for name in _names(run, "kl/") if name.endswith("nats")]
    rows = list[tuple[str, ...]]()
    for name in shown:
        found = series(run, name)
        first, last = min(found), max(found)
        ends = [interval(found[step], _style(name)) for step in (first, last)]
        rows.append(
            (_label(name), f"{ends[0]} <small>step {first:,}</small>", f"<b>{ends[1]}</b> <small>step {last:,}</small>")
        )
    return table(("What", "First", "Last"), rows, "numbers")


def _label(name: str) -> str:
    kind, _, rest = name.partition("/")
    if kind == "kl":
        return {"nats": "Divergence from the reference, nats a text"}.get(rest, "Divergence, nats a token")
    if kind == "generation":
        scenario, _, metric = rest.rpartition("/")
        return f"{escape(scenario)}: {METRICS[metric].meaning}" if metric in METRICS else escape(rest)
    return escape(name.replace("_", " ").capitalize())


def _loss(run: TrainedRun, objective: str) -> str:
    names = {name: name.replace("_", " ").capitalize() for name in _own(run)}
    return _charts(run, names, {"loss": "nats a token" if objective in _NATS else "as the objective defines it"})


def _charts(run: TrainedRun, names: Mapping[str, str], units: Mapping[str, str] = {}) -> str:
    drawn = [
        curve_chart(title, units.get(name, ""), [Curve(title, found)], numbers=len(found) <= 60)
        for name, title in names.items()
        if (found := series(run, name))
    ]
    return f'<div class="cards {"three" if len(drawn) > 1 else ""}">{"".join(drawn)}</div>' if drawn else ""


def _measured(run: TrainedRun) -> list[str]:
    names = _names(run, "generation/")
    scenarios = dict.fromkeys(name.split("/")[1] for name in names)
    parts = [_scenario(run, scenario) for scenario in scenarios]
    if nats := [name for name in ("kl/nats", "kl/nats_per_token") if series(run, name)]:
        units = {"kl/nats": ("Divergence of a text", "nats"), "kl/nats_per_token": ("Divergence of a token", "nats")}
        drawn = [curve_chart(*units[name], [Curve(units[name][0], series(run, name))]) for name in nats]
        intro = (
            "Kullback-Leibler divergence of the model from the reference, on texts of the reference: what it has "
            "unlearned. Bands: 95 % intervals over texts."
        )
        parts.append(section("Distance from the reference", intro, f'<div class="cards three">{"".join(drawn)}</div>'))
    return parts


def _scenario(run: TrainedRun, scenario: str) -> str:
    found = {
        name: points for name in METRICS if (points := series(run, f"generation/{scenario}/{name}"))
    }  # fmt: skip
    drawn = [
        curve_chart(
            METRICS[name].label,
            METRICS[name].meaning,
            [Curve(METRICS[name].label, found[name])],
            _style(name),
            numbers=False,
        )
        for name in _MAIN
        if name in found
    ]
    steps = sorted({step for points in found.values() for step in points})
    rows = [
        (METRICS[name].label, *(interval(found[name][s], _style(name)) if s in found[name] else "" for s in steps))
        for name in found
    ]
    inside = table(("Metric", *(f"Step {step:,}" for step in steps)), rows, "numbers sheet")
    folded = f"<details><summary>All metrics at every step</summary><div class=scroll>{inside}</div></details>"
    n = _texts(run, f"generation/{scenario}/")
    intro = f"{n:,} texts were drawn from the model at each measurement. Bands: 95 % intervals over texts."
    title = f"What it prefers to say: {escape(scenario)}"
    return section(title, intro, f'<div class="cards three">{"".join(drawn)}</div>{folded}')


def _samples(found: Mapping[int, Sequence[Mapping[str, Any]]]) -> str:
    parts = list[str]()
    for step in sorted(found, reverse=True):
        scored = [row for row in found[step] if row.get("score") is not None]
        worst = sorted(scored, key=lambda row: -float(row["score"]))[:SHOWN_SAMPLES]
        for name, rows in (("the worst", worst), ("the first", found[step][:SHOWN_SAMPLES])):
            if rows:
                inside = table(("Score", "Text"), [_row(row) for row in rows])
                shown = " open" if step == max(found) and name == "the first" else ""
                parts.append(f"<details{shown}><summary>Step {step:,}: {name}</summary>{inside}</details>")
    return "".join(parts)


def _row(row: Mapping[str, Any]) -> tuple[str, str]:
    text, prompt, score = str(row["text"]), str(row.get("prompt") or ""), row.get("score")
    shown = text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
    before = f"<small>{line(prompt)}</small> " if prompt else ""
    return ("\N{EN DASH}" if score is None else data(float(score), plain)), before + line(shown)


def _facts(run: TrainedRun, objective: str) -> dict[str, str]:
    facts = {"model": str(run.summary["plan"]["model"]), "objective": objective, "folder": str(run.summary["folder"])}
    model = run.about.get("model") or {}
    facts |= {f"model's {name}": str(model[name]) for name in ("revision", "dtype", "device") if model.get(name)}
    if weights := (model.get("fingerprint") or {}).get("weights"):
        facts["fingerprint of the start"] = str(weights)
    return facts | {name: str(run.about[name]) for name in ("seed", "processes", "start") if name in run.about}


def _embedded(run: TrainedRun) -> dict[str, Any]:
    """Return the summary and the log, thinned if it is long, which is then said."""
    every = 1
    while True:
        log = [entry for place, entry in enumerate(run.log) if place % every == 0 or "loss" not in entry]
        whole = {"summary": dict(run.summary), "log": log, "log_every": every}
        if len(embed(whole)) <= JSON_BYTES or len(log) <= 1 or every > len(run.log):
            return whole
        every += 1
