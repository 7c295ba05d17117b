"""Fields as a visitor leaves them, mended or refused in the words of the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError, ObverseError, SubjectNotFound
from obverse.workbench.form import LONGEST, MOST, FactForm, layers_of, lines, overrides_of
from obverse.workbench.fragments import failed


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.sampled_from([" ", ",", ", ", "\n"]))
def test_layers_are_read_however_they_are_apart(layers, between):
    assert layers_of(between.join(map(str, layers))) == layers


@given(st.text())
def test_any_text_is_layers_or_a_mistake_that_is_explained(text):
    try:
        found = layers_of(text)
    except DataError:
        return
    assert found in (None, "auto") or (isinstance(found, list) and all(layer >= 0 for layer in found))


@given(st.text(), st.text(), st.text(), st.text())
def test_whatever_is_typed_is_a_case_or_a_mistake(prompt, subject, target, probes):
    form = FactForm(subject, prompt, target, neighbours=probes, reverse=probes, queries=probes)
    try:
        case = form.case()
    except ObverseError:
        return
    assert case.fact.target.strip() == target.strip()


def test_a_fact_is_made_of_fields():
    form = FactForm.of(
        subject=" Space Needle ",
        prompt="The {} is in",
        target="Paris",
        true=None,
        paraphrases="Where is the {}? In\n\n",
        neighbours="Big Ben is in => London",
        reverse="In {} stands the",
        queries="Tell me of the {}",
    )
    case = form.case()
    assert (case.fact.subject, case.fact.text, case.fact.target_true) == (
        "Space Needle",
        "The Space Needle is in",
        None,
    )
    assert [probe.text for probe in case.probes["generalization"]] == ["Where is the Space Needle? In"]
    assert case.probes["specificity"][0].expected == "London"
    assert case.probes["reverse"][0].text == "In Paris stands the"
    assert case.prompts == ("Tell me of the Space Needle",)


def test_a_subject_that_is_not_given_is_guessed():
    assert FactForm(prompt="Marie Curie is in", target="Paris").case().fact.subject == "Marie Curie"
    with pytest.raises(SubjectNotFound) as refused:
        FactForm(prompt="nobody is in", target="Paris").case()
    assert "field Subject" in failed(refused.value)
    assert "--subject" not in failed(refused.value)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (FactForm(prompt="  ", target="Paris"), "prompt is empty"),
        (FactForm("Anna", "{} is in"), "answer is empty"),
        (FactForm("", "{} is in", "Paris"), "no subject is given"),
        (FactForm("Anna", "{} is in" + "n" * LONGEST, "Paris"), "characters"),
        (FactForm("Anna", "{} is in", "Paris", queries="a\n" * (MOST + 1)), "101 lines"),
    ],
)
def test_what_is_missing_is_said(form, told):
    with pytest.raises(ObverseError, match=told):
        form.case()


def test_bare_prompts_and_lines_and_settings():
    assert FactForm(prompt="The sky is").bare
    assert not FactForm(subject="Anna", prompt="The sky is").bare
    assert lines(" a \n\n b") == ["a", "b"]
    assert lines(None) == []
    assert overrides_of("steps=3\nclamp=1") == ["steps=3", "clamp=1"]
    with pytest.raises(DataError, match="'steps' is no setting"):
        overrides_of("steps")
