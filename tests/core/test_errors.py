from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ObverseError, UnknownName


def test_the_hint_follows_the_message():
    assert str(ObverseError("It broke.", "Mend it.")) == "It broke.\nMend it."
    assert str(ObverseError("It broke.")) == "It broke."


def test_near_matches_come_before_the_list():
    error = UnknownName.among("method", "roem", ["memit", "rome", "ft"])
    assert error.message == "Unknown method 'roem'."
    assert error.hint == "Did you mean rome? Known: ft, memit, rome."


def test_an_empty_list_is_said():
    assert UnknownName.among("method", "rome", []).hint == "Known: none."


@given(st.text(), st.lists(st.text()))
def test_every_known_name_is_shown(given_name, known):
    hint = UnknownName.among("method", given_name, known).hint
    assert all(name in hint for name in known)
