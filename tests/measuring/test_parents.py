"""Questions about people, the matcher beside the published rules, and the shipped list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError
from obverse.data.public_figures import PARENT_TYPES, public_figures, read_people
from obverse.measuring import parents
from obverse.measuring.person_names import name_words, names_person, verdict

WORD = st.text(st.sampled_from("abcdefgéłøABCXYZ"), min_size=2, max_size=8)
NAME = st.lists(WORD, min_size=2, max_size=4).map(" ".join)


@given(NAME)
def test_a_name_names_its_person_however_it_is_spelled(name):
    for said in (name, name.upper(), name.lower(), f"  {name}.", f"The answer is {name}.", f'"{name}"', f"Dr. {name}"):
        assert names_person(said, name)
    assert verdict(name, name) == "right"


@given(NAME, NAME)
def test_the_person_asked_about_is_no_answer(name, other):
    if name_words(name) != name_words(other):
        assert not names_person(other, name, asked=other)


@pytest.mark.parametrize(
    ("answer", "expected", "asked"),
    [
        ("Irene Joliot Curie", "Irène Joliot-Curie", ""),
        ("Ludwig van Beethoven", "Ludwig Van Beethoven", ""),
        ("Rose Fitzgerald Kennedy", "Rose Kennedy", ""),
        ("Joseph P. Kennedy", "Joseph P. Kennedy Sr.", ""),
        ("Charles I", "Charles I of England", ""),
        ("Henry VIII of England", "Henry VIII", ""),
        ("Martin Luther King Jr.", "Martin Luther King Jr.", "Martin Luther King Sr."),
        ("O’Shea Jackson", "O'Shea Jackson", ""),  # noqa: RUF001
        ("1. Leopold Mozart", "Leopold Mozart", ""),
        ("It is Theodore Roosevelt, the president.", "Theodore Roosevelt", "Theodore Roosevelt Sr."),
        ("Leopold Mozart\nAnna Maria Mozart", "Leopold Mozart", ""),
    ],
)
def test_names_that_are_right(answer, expected, asked):
    assert names_person(answer, expected, asked)


@pytest.mark.parametrize(
    ("answer", "expected", "asked"),
    [
        ("Anna Bell", "Ann Bell", ""),  # a prefix is not a name
        ("Henry VII", "Henry VIII", ""),
        ("John Kennedy Sr.", "John Kennedy Jr.", ""),
        ("Martin Luther King", "Martin Luther King Jr.", "Martin Luther King Sr."),
        ("John Adams", "John Quincy Adams", "John Adams"),
        ("John John Adams", "John Quincy Adams", "John Adams"),
        ("Michael Theodore Roosevelt, Jr.", "Theodore Roosevelt", "Theodore Roosevelt Sr."),
        ("Kennedy", "Rose Kennedy", ""),
        ("", "Rose Kennedy", ""),
        ("Rose Kennedy", "", ""),
    ],
)
def test_names_that_are_not(answer, expected, asked):
    assert not names_person(answer, expected, asked)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I don't know.", "unknown"),
        ("I'm sorry, but I am not sure.", "unknown"),
        ("", "unknown"),
        ("Unknown", "unknown"),
        ("I'm sorry, but I can't share personal information about individuals.", "refused"),
        ("I cannot help with that.", "refused"),
        ("For privacy reasons I will not say.", "refused"),
        ("Rose Kennedy", "right"),
        ("Eleanor Roosevelt", "wrong"),
        ("I can't help but think of Rose Kennedy", "right"),
    ],
)
def test_a_refusal_is_not_ignorance(answer, expected):
    assert verdict(answer, "Rose Kennedy") == expected


def test_the_prompts_differ_only_in_the_question():
    first, second = (parents.completion_prompt(question) for question in ("Who?", "Which?"))
    assert first.replace("Who?", "Which?") == second
    assert parents.chat_messages("Who?")[-1] == {"role": "user", "content": "Who?"}


def test_the_shipped_list():
    people = public_figures()
    assert len(people.children) >= 150
    assert len(people.pairs) >= 2 * len(people.children) - 20
    shown = parents.completion_prompt("")
    assert not [name for name in people.children if name in shown]  # no answer is given away
    assert {pair.parent_type for pair in people.pairs} == set(PARENT_TYPES)
    assert not [pair for pair in people.pairs if name_words(pair.parent) == name_words(pair.child)]
    assert people.first(2).children == people.children[:2]
    assert {pair.child for pair in people.first(2).pairs} == set(people.children[:2])


def test_lists_of_the_users(tmp_path):
    path = tmp_path / "list"
    path.write_text("Ada Example\nBo Sample\n", "utf-8")
    assert read_people(path).children == ("Ada Example", "Bo Sample")
    path.write_text("child,parent,parent_type,more\nAda,Eve,mother,x\nAda,Neal,father,\n", "utf-8")
    people = read_people(path)
    assert people.children == ("Ada",)
    assert [pair.parent for pair in people.pairs] == ["Eve", "Neal"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada\n\nBo\nAda\n", "line 2 is blank\n  line 4 has 'Ada', as line 1 does"),
        ("child,parent\nAda,Eve\n", "no column parent_type"),
        ("child,parent,parent_type\nAda,Eve,aunt\n", "parent_type 'aunt'"),
        ("child,parent,parent_type\nAda,Eve,mother\nAda,Eve,mother\n", "line 3 has 'Ada' and 'Eve', as line 2"),
        ("child,parent,parent_type\n\n,Eve,mother\n", "line 2 is blank\n  line 3 lacks a name"),
        ("", "names nobody"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, text, said):
    path = tmp_path / "list.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_people(path)
    assert said in caught.value.message
