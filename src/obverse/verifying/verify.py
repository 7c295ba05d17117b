"""Verify an edit: every probe before and after, both directions, and what else moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from obverse.core import Case, EditFailed
from obverse.data.relations import case_for
from obverse.editing.edit import Edit
from obverse.measuring.generation import greedy
from obverse.verifying.drift import drift
from obverse.verifying.probes import Answer, ask
from obverse.verifying.report import CaseReport, Continuation, Report

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

CONTINUATION_TOKENS = 16


def verify(
    lm: LanguageModel, edit: Edit, cases: Sequence[Case] | Case | None = None, *, with_drift: bool = True
) -> Report:
    """Ask every probe of the facts' cases on the unedited and on the edited model.

    Args:
        lm: The unedited base model; untouched.
        edit: The edit.
        cases: One case a fact of the edit; by default made from the fact alone, with paraphrases, neighbours and
            reverse probes where its relation is a known one (`obverse.data.relations`).
        with_drift: Whether to measure drift on neutral text too.

    Raises:
        EditMismatch: If the edit belongs to another model.
        EditFailed: If the edit changed no answer at all.
    """
    if cases is None:
        cases = [case_for(fact) for fact in edit.facts]
    cases = [cases] if isinstance(cases, Case) else list(cases)
    edit.check(lm)
    prompts = list(dict.fromkeys(text for case in cases for text in (case.prompts or (case.fact.text,))))
    before, written_before = ask(lm, cases, "probing before"), greedy(lm, prompts, CONTINUATION_TOKENS)
    with edit.applied(lm):
        after, written_after = ask(lm, cases, "probing after"), greedy(lm, prompts, CONTINUATION_TOKENS)
    _refuse_no_change(before, after)
    texts = {p: Continuation(p, old, new) for p, old, new in zip(prompts, written_before, written_after, strict=True)}
    reports = tuple(
        CaseReport(case, old, new, tuple(texts[text] for text in (case.prompts or (case.fact.text,))))
        for case, old, new in zip(cases, before, after, strict=True)
    )
    return Report(reports, edit.method, lm.name, drift(lm, edit, label="measuring drift") if with_drift else None)


def _refuse_no_change(before: Sequence[tuple[Answer, ...]], after: Sequence[tuple[Answer, ...]]) -> None:
    pairs = [(old, new) for olds, news in zip(before, after, strict=True) for old, new in zip(olds, news, strict=True)]
    if pairs and all(old.logprob == new.logprob for old, new in pairs):
        raise EditFailed(
            "The edit changed no answer: every probe has the same log-probability before and after.",
            "Check that the edit's layer lies in this model and that its change is not zero (obverse show FOLDER).",
        )
