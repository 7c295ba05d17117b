"""Verification on a model: before and after, no change is an error, drift of no edit is none."""

import pytest
import torch

from families import tiny
from obverse.core import Case, EditFailed, EditMismatch, Fact
from obverse.editing import Edit, LowRank
from obverse.editing.rome import Rome, RomeConfig
from obverse.verifying import ask, drift, verify

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
CASE = Case.of(
    FACT,
    paraphrases=("Everyone knows the Space Needle stands in",),
    neighbours=(("The Big Ben is in the city of", "London"), ("Pike Place is in the city of", None)),
    reverse=("A famous tower in {} is the",),
    prompts=("The Space Needle is",),
)


def edit_of(lm, **changes):
    from obverse.core import build

    settings = {"contexts": {"texts": ()}, "moment": None, "layers": [1], "learning_rate": 0.1, "clamp": 4.0}
    return Rome(build(RomeConfig, settings, changes)).edit(lm, [FACT])


def zero_edit(lm):
    a = lm.architecture
    delta = LowRank(torch.zeros(a.hidden, 1), torch.zeros(a.inner, 1))
    return Edit({a.mlp_out(1): delta}, (FACT,), "zero", None, lm.fingerprint, lm.name, {})


def test_report_has_every_kind_before_and_after():
    lm = tiny("llama")
    report = verify(lm, edit_of(lm), CASE)
    summary = report.summary()
    assert set(summary) == {"efficacy", "generalization", "specificity", "reverse"}
    probability = summary["efficacy"]["probability"]
    assert probability["after"]["mean"] > probability["before"]["mean"]
    assert len(report.answers("specificity")) == 2
    assert report.cases[0].continuations[0].prompt == "The Space Needle is"
    assert report.drift is not None
    assert report.drift.kl > 0
    assert "Space Needle" in str(report)
    assert "drift" in str(report)


def test_before_is_the_unedited_model_and_after_the_edited_one():
    lm = tiny("llama")
    edit = edit_of(lm)
    report = verify(lm, edit, CASE, with_drift=False)
    assert report.cases[0].before == ask(lm, [CASE])[0]
    with edit.applied(lm):
        assert report.cases[0].after == ask(lm, [CASE])[0]


def test_reverse_compares_the_subject_after_new_and_old_object():
    lm = tiny("llama")
    (answer,) = [a for a in ask(lm, [CASE])[0] if a.kind == "reverse"]
    assert answer.probe.expected == "Space Needle"
    assert answer.probe.contrast == "A famous tower in Seattle is the"
    assert answer.success == (answer.probability > answer.alternative)


def test_an_edit_that_changes_nothing_is_an_error():
    lm = tiny("llama")
    with pytest.raises(EditFailed, match="changed no answer"):
        verify(lm, zero_edit(lm), CASE)


def test_drift_of_no_change_is_none():
    lm = tiny("llama")
    found = drift(lm, zero_edit(lm), ["Bread rises slowly.", "Rain fell."])
    assert found.kl == pytest.approx(0, abs=1e-6)
    assert found.perplexity_before == pytest.approx(found.perplexity_after)
    assert list(found.weight_change.values()) == [0]


def test_another_model_is_refused():
    with pytest.raises(EditMismatch):
        verify(tiny("gpt2"), edit_of(tiny("llama")), CASE)


def test_without_probes_the_fact_itself_is_asked():
    lm = tiny("llama")
    fact = Fact("Zork", "The colour of {} is", "green")
    from dataclasses import replace

    report = verify(lm, replace(edit_of(lm), facts=(fact,)), Case.of(fact), with_drift=False)
    assert report.interval("efficacy", "success") is None
    assert report.score is None
