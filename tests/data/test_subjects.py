"""Whom a text is about, guessed from its capitals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden.conftest import golden

from obverse.data.subjects import guess_subject, occurrences

# They end in x, as no word that opens a sentence or a question does.
NAMES = st.lists(st.from_regex(r"[A-ZÄÉ][a-zäé]{1,8}x", fullmatch=True), min_size=1, max_size=3).map(" ".join)
PLAIN = st.lists(st.from_regex(r"[a-zäé]{1,8}", fullmatch=True), min_size=1, max_size=4).map(" ".join)


@given(st.text(max_size=60))
def test_a_guess_stands_in_the_text_and_begins_with_a_capital(text):
    guess = guess_subject(text)
    assert guess is None or (guess in text and guess[0].isupper() and guess == guess.strip())


@given(PLAIN, NAMES, PLAIN)
def test_the_only_name_is_found(before, name, after):
    for mark in ("", ",", "'s", "?", ".", "’s"):  # noqa: RUF001
        assert guess_subject(f"{before} {name}{mark} {after}") == name
    assert guess_subject(f"Where {before} ({name}) {after}") == name
    assert guess_subject(f"The {before} of {name} {after}") == name


@given(PLAIN)
def test_without_capitals_there_is_no_guess(text):
    assert guess_subject(text) is None
    assert guess_subject(f"The {text}") is None
    assert guess_subject(f"Why {text}") is None


GOLDEN = (golden("subject_ranges") or {"guess_subject": []})["guess_subject"]


@pytest.mark.skipif(not GOLDEN, reason="no golden folder (set OBVERSE_GOLDEN)")
@pytest.mark.parametrize(("text", "subject"), GOLDEN)
def test_the_original_guesses_the_same(text, subject):
    assert guess_subject(text) == subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("J. K. Rowling wrote", "J. K. Rowling"),
        ("St. Petersburg is in", "St. Petersburg"),
        ("In 1900, Paris, France was", "Paris"),
        ("She saw the Rhine. Cologne lies on", "Rhine"),
        ("New\nYork is", "New\nYork"),
        ("Where is Big Ben? In", "Big Ben"),
        ("", None),
    ],
)
def test_marks_end_a_name(text, subject):
    assert guess_subject(text) == subject


def test_occurrences_are_whole_words():
    assert occurrences("Ann and Anna, Ann's aunt (Ann)", "Ann") == 3
    assert occurrences("a.c abc", "a.c") == 1
