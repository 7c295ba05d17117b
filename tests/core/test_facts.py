import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from obverse.core import Case, DataError, Fact, SubjectNotFound

words = st.text(st.characters(categories=("L", "N", "Zs"), include_characters="'-."), min_size=1).filter(str.strip)
plain = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="{}"))


@given(plain, words, plain)
def test_span_is_where_the_subject_stands(before, subject, after):
    fact = Fact(subject, before + "{}" + after, "Paris")
    start, end = fact.span
    assert fact.text[start:end] == subject
    assert fact.text == before + subject + after


@given(plain, words, plain)
def test_a_filled_in_prompt_gives_the_same_text(before, subject, after):
    assert Fact.from_text(before + subject + after, subject, "Paris").text == before + subject + after


@given(plain, words, plain)
def test_a_template_is_taken_as_it_is(before, subject, after):
    assert Fact.from_text(before + "{}" + after, subject, "Paris") == Fact(subject, before + "{}" + after, "Paris")


@given(plain, words)
def test_an_absent_subject_is_named(text, subject):
    assume(subject not in text)
    with pytest.raises(SubjectNotFound) as caught:
        Fact.from_text(text, subject, "Paris")
    assert repr(subject) in str(caught.value)
    assert "capitals count" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "subject", "prompt"),
    [
        ("Adam met Ada in", "Ada", "Adam met {} in"),
        ("Paris, near Paris, is", "Paris", "{}, near Paris, is"),
        ("preRomepost is", "Rome", "pre{}post is"),
        ("C++ (the language) is by", "C++", "{} (the language) is by"),
    ],
)
def test_the_subject_as_a_word_is_preferred(text, subject, prompt):
    assert Fact.from_text(text, subject, "x").prompt == prompt


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("Rome", "It is in", "Italy"), "has 0 places '{}'"),
        (("Rome", "{} and {} are in", "Italy"), "has 2 places '{}'"),
        ((" ", "{} is in", "Italy"), "subject of '{} is in' is empty"),
        (("Rome", "{} is in", ""), "target of 'Rome is in' is empty"),
        (("Rome", "{} is in", "Italy", " "), "true target of 'Rome is in' is empty"),
    ],
)
def test_a_malformed_fact_is_refused(values, message):
    with pytest.raises(DataError) as caught:
        Fact(*values)
    assert message in caught.value.message
    assert caught.value.hint


needle = Fact("Space Needle", "The {} is in", "Paris", "Seattle")


def test_probes_ask_each_kind():
    case = Case.of(
        needle,
        paraphrases=("One finds the Space Needle in",),
        neighbours=(("Pike Place is in", None), ("The Louvre is in", "France")),
        reverse=("The city of {} has the",),
    )
    efficacy, paraphrase = case.probes["efficacy"][0], case.probes["generalization"][0]
    assert (efficacy.text, efficacy.expected, efficacy.rejected) == ("The Space Needle is in", "Paris", "Seattle")
    assert (paraphrase.expected, paraphrase.rejected) == ("Paris", "Seattle")
    assert [(p.expected, p.rejected) for p in case.probes["specificity"]] == [("Seattle", "Paris"), ("France", "Paris")]
    reverse = case.probes["reverse"][0]
    assert (reverse.text, reverse.contrast) == ("The city of Paris has the", "The city of Seattle has the")
    assert reverse.expected == "Space Needle"


def test_kinds_without_probes_are_left_out():
    assert list(Case.of(needle).probes) == ["efficacy"]


def test_without_a_true_target_nothing_is_rejected():
    case = Case.of(Fact("Rome", "{} is in", "Italy"), reverse=("{} has the city of",))
    assert case.probes["efficacy"][0].rejected is None
    assert case.probes["reverse"][0].contrast is None


def test_a_neighbour_that_nothing_can_judge_is_refused():
    with pytest.raises(DataError, match="'Milan is in' has no answer") as caught:
        Case.of(Fact("Rome", "{} is in", "Italy"), neighbours=(("Milan is in", None),))
    assert "prompt => answer" in caught.value.hint


@pytest.mark.parametrize("template", ["The city is", "{} or {} is"])
def test_a_reverse_prompt_needs_one_place(template):
    with pytest.raises(DataError, match="for the object; it needs exactly one"):
        Case.of(needle, reverse=(template,))
