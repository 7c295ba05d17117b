"""Claim 6: an edit writes a fact in the direction it was told, not in the other; unless the editor writes both.

::

    claim6/           a benchmark, as `obverse bench` writes it; one that is there already is read

Source: Meng et al. 2022 (the editors); Ma et al. 2023, "Untying the Reversal Curse via Bidirectional Language Model
Editing" (arXiv 2310.10322), for the question.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from obverse.core import Config, ConfigError
from obverse.measuring.exact_tests import share_interval
from obverse.measuring.statistics import paired_difference
from obverse.recipes.bench.methods import UNEDITED
from obverse.recipes.bench.results import Bench, Values, read_bench
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_sheet import Sheet, span

CLAIM = "claim6"

FEW = 200
"""Facts that the claim asks for."""

WRITTEN, TURNED, BOTH_WAYS, APART = 0.9, 0.1, 0.5, 0.5
"""Share of facts that an edit is to write forward; below which the reverse does not hold; above which it does, where an
editor writes both directions; and by how many facts more, as a share of all, forward is to hold than reverse."""

METRICS = ("efficacy_success", "generalization_success", "reverse_success", "efficacy_generated", "reverse_generated")


class Edits(Config):
    """Claim 6."""

    model: str = "gemma-3-270m"
    """What is edited."""

    dataset: str = "starter"
    """Facts; those without a question in reverse do not count."""

    limit: int | None = Field(FEW, ge=1)
    """How many; null for all."""

    methods: tuple[str, ...] = ("rome", "memit", "ft", "rome-both")
    """Editors; each fact is written on the fresh model."""

    both_ways: tuple[str, ...] = ("rome-both",)
    """Those that write a fact in both directions."""

    folder: Path | None = None
    """A benchmark that was made before; null for one in the claim's own folder, which is run or gone on with."""


def run_edits(settings: Edits, folder: Path) -> Bench:
    """Return the benchmark of the editors: read if its folder is named, else run.

    Args:
        settings: Those of the claim.
        folder: Where it is made; a stopped one goes on.

    Raises:
        DataError: If a named folder holds no benchmark.
        ConfigError: If it lacks the unedited model, or questions in reverse.
    """
    if settings.folder:
        bench = read_bench(settings.folder)
    else:
        from obverse.recipes.bench.request import BenchRequest
        from obverse.recipes.bench.run import run_bench
        from obverse.recipes.models import ModelChoice

        request = BenchRequest(
            settings.dataset, settings.methods, folder, ModelChoice(settings.model), limit=settings.limit
        )
        run_bench(request)
        bench = read_bench(folder)
    if not any("reverse_success" in values for values in bench.unedited().values()):
        raise ConfigError(
            f"{bench.folder} has no unedited model that was asked in reverse.",
            "Take facts that have such questions, e.g. of the data set starter.",
        )
    return bench


def edit_verdicts(bench: Bench, settings: Edits) -> Iterator[Verdict]:
    """Judge each editor: written forward, holding in reverse or not, and by how much the directions differ."""
    unedited = bench.unedited()
    for label in _edited(bench):
        values = bench.runs[label].values(unedited)
        if not (turned := _of(values, "reverse_success")):
            continue
        written = _of(values, "efficacy_success")
        forward, reverse = (share_interval([*of.values()]) for of in (written, turned))
        yield Verdict(CLAIM, f"{label} writes a fact forward: more than {WRITTEN:.0%}", forward, WRITTEN)
        if label in settings.both_ways:
            yield Verdict(CLAIM, f"{label}: the reverse holds in more than {BOTH_WAYS:.0%}", reverse, BOTH_WAYS)
            continue
        yield Verdict(CLAIM, f"{label}: the reverse holds in less than {TURNED:.0%}", reverse, TURNED, above=False)
        gap = paired_difference(written, turned)
        yield Verdict(CLAIM, f"{label}: forward holds in more than {APART:.0%} more facts than reverse", gap, APART)


def edit_sheets(bench: Bench) -> Iterator[Sheet]:
    """Return the table of editors, the unedited model first."""
    unedited, rows = bench.unedited(), list[tuple[str, ...]]()
    for label in (UNEDITED, *_edited(bench)):
        values = unedited if label == UNEDITED else bench.runs[label].values(unedited)
        turned = _of(values, "reverse_success")
        if not turned:
            continue
        shares = [_shown(_of(values, metric)) for metric in METRICS]
        gap = paired_difference(_of(values, "efficacy_success"), turned)
        gain = paired_difference(turned, _of(unedited, "reverse_success"))
        rows.append((label, str(len(turned)), *shares, span(gap, percent=True), span(gain, percent=True)))
    headers = ("editor", "n", "forward", "paraphrases", "reverse", "forward, written", "reverse, written",
               "forward minus reverse", "reverse, gained")  # fmt: skip
    note = (
        "forward, paraphrases, reverse: the new answer is likelier than its rival; written: greedy text begins so; "
        "n facts, each edited alone on the fresh model; exact 95 % intervals of shares, bootstrap of others; "
        "forward minus reverse, and gained (reverse less that of the unedited model), are paired by fact."
    )
    yield Sheet(CLAIM, "The curse of editing", headers, tuple(rows), note)


def _edited(bench: Bench) -> list[str]:
    return [label for label, run in bench.runs.items() if label != UNEDITED and run.cases]


def _of(values: Values, metric: str) -> dict[str, float]:
    """Return a metric of the facts that have a question in reverse."""
    return {case: of[metric] for case, of in values.items() if metric in of and "reverse_success" in of}


def _shown(values: dict[str, float]) -> str:
    return span(share_interval([*values.values()]), percent=True) if values else "-"
