"""Laws of the small word-level set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import DataError
from obverse.data.reversal import SUBTASKS
from obverse.data.toy_reversal import TEST_WORDINGS, TRAIN_WORDINGS, toy_reversal


@settings(max_examples=10)
@given(st.integers(0, 999), st.integers(2, 40))
def test_laws(seed, entities):
    made = toy_reversal(seed, entities)
    assert made == toy_reversal(seed, entities)
    trained = {word for row in made.train for word in row.text.split()}
    assert len(trained) < 100
    for row in made.train:
        assert row.text.split(" ") == row.text.split()  # words between single blanks
    for document in made.documents():
        name, description = document.meta["entities"]
        assert len(name.split()) == 2
        assert len(description.split()) == 6
        assert f" {name} " in f" {document.text} "
        assert f" {description} " in f" {document.text} "
    assert set(made.subtasks()) == set(made.subtasks("training")) == set(SUBTASKS)
    for rows in made.subtasks().values():
        assert len(rows) == entities * TEST_WORDINGS
        assert {word for row in rows for word in row.text.split()} <= trained
    for rows in made.subtasks("training").values():
        assert len(rows) == entities * TRAIN_WORDINGS


def test_names_share_words_but_no_one_word_is_a_person():
    made = toy_reversal(0)
    first = [person.name.split()[0] for person in made.identities]
    assert len(made.identities) == 48
    assert len(set(first)) < 48


def test_other_seeds_make_other_words():
    one, other = ({word for row in toy_reversal(seed).train for word in row.text.split()} for seed in (0, 1))
    assert len(one & other) < 40


@pytest.mark.parametrize("entities", [1, 57])
def test_sizes_that_are_refused(entities):
    with pytest.raises(DataError, match="Ask for 2 to 56"):
        toy_reversal(0, entities)
