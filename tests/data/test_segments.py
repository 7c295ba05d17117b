"""Cutting documents: nothing is lost, and cuts fall where a reader would put them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.data.segments import Split, segments

prose = st.text(alphabet=st.sampled_from("ab. !?…\n\t\r\"')。」I3Dr"), max_size=80)
splits = st.sampled_from(["sentences", "lines", "none"])


@given(prose | st.text(max_size=80), splits)
def test_joined_they_are_the_document(text: str, split: Split) -> None:
    found = segments(text, split)
    assert "".join(found) == text
    assert all(found)


@given(prose)
def test_white_space_stays_with_the_sentence_before(text: str) -> None:
    assert not any(segment[0].isspace() for segment in segments(text, "sentences")[1:])


@given(st.text(alphabet="ab\n\r\x0b\x85\u2028 ", max_size=40))
def test_lines_end_with_a_newline_only(text: str) -> None:
    found = segments(text, "lines")
    assert all(line.endswith("\n") for line in found[:-1])
    assert all("\n" not in line[:-1] for line in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It opens at nine. Boats wait. ", ["It opens at nine. ", "Boats wait. "]),
        ('"Really?" she asked. Yes!', ['"Really?" ', "she asked. ", "Yes!"]),
        ("Dr. Smith met J. K. Rowling. He left.", ["Dr. Smith met J. K. Rowling. ", "He left."]),
        ("So did I. He left.", ["So did I. ", "He left."]),
        (
            "See fig. 3, e.g. the left one, at 5 p.m. on Monday.",
            ["See fig. 3, e.g. the left one, at 5 p.m. on Monday."],
        ),
        ("Mail a.b@c.org or see www.d.org/e.f now.", ["Mail a.b@c.org or see www.d.org/e.f now."]),
        ("Pi is 3.14. (So they say.) Fine… Is it?", ["Pi is 3.14. ", "(So they say.) ", "Fine… ", "Is it?"]),
        ("A heading\n\nText without an end\n \nMore", ["A heading\n\n", "Text without an end\n \n", "More"]),
        ("broken\nline. Next", ["broken\nline. ", "Next"]),
        ("日本語。「二番目！」終わり", ["日本語。", "「二番目！」", "終わり"]),  # noqa: RUF001
        ("  leading. Then", ["  leading. ", "Then"]),
        ("", []),
        (" \n\n ", [" \n\n "]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert list(segments(text, "sentences")) == expected


@pytest.mark.parametrize("unit", [".", "a", " ", "\n \n", "a.b", ".) ", '."', "。", " \t", "\n \t", "A. "])
def test_time_is_linear(unit: str) -> None:
    text = unit * 60_000 + "x"
    began = time.process_time()
    segments(text, "sentences")
    assert time.process_time() - began < 2
