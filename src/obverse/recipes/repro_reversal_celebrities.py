"""Claim 5: models name the parents of well-known people more often than the children of those parents.

::

    claim5/MODEL/     a folder a model, as `obverse reversal celebrities` writes it

Source: Berglund et al. 2023, section 2.2 (experiment 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from obverse.core import Config
from obverse.recipes.celebrity_results import ModelTable, PublishedTables, read_published
from obverse.recipes.celebrity_survey import CelebritySettings
from obverse.recipes.record import slug
from obverse.recipes.repro import Verdict
from obverse.recipes.repro_sheet import Row, Sheet, span

if TYPE_CHECKING:
    from obverse.measuring.answerers import Answerer
    from obverse.recipes.celebrities import CelebrityResult

CLAIM = "claim5"

KNOWN = 0.05
"""Share of right parents above which a model can be said to know some, so that a reverse can be asked at all."""

HALF = 0.5
"""Below this share of turned pairs the published model knows most facts in one direction only."""


class Celebrities(Config):
    """Claim 5."""

    models: tuple[str, ...] = ("gemma-3-270m",)
    """Who is asked."""

    limit: int | None = Field(40, ge=1)
    """How many people of the list; null for all."""

    asked: CelebritySettings = CelebritySettings(samples=5)
    """How they are asked about."""

    published: Path | None = None
    """Folder of the published tables, which are counted again; null leaves that out."""


@dataclass(frozen=True, slots=True)
class CelebrityFindings:
    """What was asked and counted.

    Attributes:
        results: A survey a model.
        tables: The published tables; None if no folder was given.
    """

    results: tuple[CelebrityResult, ...]
    tables: PublishedTables | None


def run_surveys(settings: Celebrities, folder: Path) -> CelebrityFindings:
    """Ask each model what it was not asked yet, and count the published tables.

    Args:
        settings: Those of the claim.
        folder: Where answers are kept; a stopped survey goes on.

    Raises:
        RunConflict: If a model's folder holds answers to other questions.
        DataError: If the published tables cannot be read.
    """
    from obverse.data.public_figures import public_figures
    from obverse.recipes.celebrities import CelebrityRequest, run_celebrities

    people = public_figures() if settings.limit is None else public_figures().first(settings.limit)
    tables = read_published(settings.published) if settings.published else None
    found = [
        run_celebrities(CelebrityRequest(lambda name=name: _local(name), people, folder / slug(name), settings.asked))
        for name in settings.models
    ]
    return CelebrityFindings(tuple(found), tables)


def _local(name: str) -> Answerer:
    from obverse.measuring.answerers import LocalModel, has_chat_template
    from obverse.recipes.models import ModelChoice, load_model

    lm = load_model(ModelChoice(name))
    return LocalModel(lm, chat=has_chat_template(lm))


def celebrity_verdicts(found: CelebrityFindings) -> Iterator[Verdict]:
    """Judge each model that was asked, and the published pairs."""
    for one in found.results:
        if both := one.symmetric:
            yield Verdict(CLAIM, f"{one.model} knows parents: more than {KNOWN:.0%}", both.parent.share, KNOWN)
            statement = f"{one.model} names the parent more often than the child, asked alike"
            yield Verdict(CLAIM, statement, both.difference.interval, 0.0)
    if found.tables:
        statement = f"published pairs, GPT-4: less than {HALF:.0%} could be turned round"
        yield Verdict(CLAIM, statement, found.tables.reversed, HALF, above=False)


def celebrity_sheets(found: CelebrityFindings) -> Iterator[Sheet]:
    """Return a table of the models asked here, and one of the published tables."""
    rows = [row for one in found.results for row in _asked_rows(one)]
    if rows:
        note = (
            "Share of answers that are right, n persons (a child, who may have two parents); 95 % by Wilson where "
            "each is right or wrong, else bootstrap. sampled: mean over samples; once: one of the samples at least; "
            "difference: parent minus child, paired by person."
        )
        headers = ("model", "asked for", "n", "sampled", "once", "greedy", "log-probability", "refused")
        yield Sheet(CLAIM, "Parents and children, asked alike", headers, tuple(rows), note)
    made = [_published_row(one) for one in found.results if one.published]
    if made:
        note = (
            "The published protocol: one greedy answer for the parent, which need not be true, then any of the samples "
            "for the child; itself: pairs whose parent is called as the child is, which count as turned round."
        )
        headers = ("model", "questions", "parent named", "true", "turned round", "itself")
        yield Sheet(CLAIM, "Parents and children, asked as published", headers, tuple(made), note)
    if found.tables:
        yield _recount(found.tables)


def _asked_rows(one: CelebrityResult) -> Iterator[Row]:
    if not (both := one.symmetric):
        return
    for name, side in (("parent", both.parent), ("child", both.child)):
        logprob = span(side.logprob) if side.logprob else "-"
        shares = (span(value, percent=True) for value in (side.share, side.once, side.greedy))
        yield (one.model, name, str(both.people), *shares, logprob, f"{side.refused.mean:.1%}")
    gap = both.difference
    yield (one.model, "difference", str(gap.n), span(gap.interval, percent=True), "", "", f"p {gap.p:.2g}", "")


def _published_row(one: CelebrityResult) -> Row:
    found = one.published
    assert found is not None
    true, turned = (span(value, percent=True) if value else "-" for value in (found.true, found.reversed))
    return one.model, str(found.asked), span(found.named, percent=True), true, turned, str(found.itself)


def _recount(tables: PublishedTables) -> Sheet:
    types = (f"{kind}s {span(share, percent=True)} of {share.n}" for kind, share in tables.by_type.items())
    turned = round(tables.reversed.mean * tables.rows)
    first = ("GPT-4", str(tables.rows), "-", span(tables.reversed, percent=True), "-", "-")
    rows = (first, *(_model_row(one) for one in tables.models))
    note = (
        f"{tables.rows:,} pairs of {tables.children:,} children, {turned:,} turned round: {', '.join(types)}. "
        f"{tables.other_forms} predictions are not the child's name letter by letter; {tables.repeated} rows stand "
        f"twice; joined over the models' tables they are {tables.joined:,}, as {', '.join(tables.doubled) or 'no one'} "
        "is in them twice. LLaMA's log-probabilities are not to be relied on (docs/celebrities.md)."
    )
    headers = ("model", "pairs", "parent", "child", "log-probability of parent", "of child")
    return Sheet(CLAIM, "The published tables, counted again", headers, rows, note)


def _model_row(one: ModelTable) -> Row:
    shares = (span(value, percent=True) for value in (one.parent, one.child))
    logprobs: Sequence[float | None] = (one.parent_logprob, one.child_logprob)
    return one.model, str(one.parent.n), *shares, *("-" if value is None else f"{value:.2f}" for value in logprobs)
