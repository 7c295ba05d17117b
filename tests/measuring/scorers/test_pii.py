"""Personal data: what is found, how much of it, what is left alone, and in what time."""

import string
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.measuring.scorers.personal_data import HARMLESS, KINDS, sentences

from obverse.measuring.scorers._pii_checks import card, credential, ip_address, luhn, ssn
from obverse.measuring.scorers._pii_patterns import PATTERNS, anchors, windows
from obverse.measuring.scorers.loading import load_scorer
from obverse.measuring.scorers.pii import Finding, merged

PIECES = (
    "a", "a@", "@", ".", "1", "0", "1 ", "1-", "0 1", "+1", "(1", "::", "f:", "A ", "A1 ", "12 Elm ", "St", " at ",
    "dot ", "a.b", "password", ":", "=", "user", "www.", "://", "/", "-", "\n", "\t", " ", "IL", "is ", "born ",
    "1.1.", "é", "İ",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5), st.sampled_from(["", "@", "1", "!", "x.com"]))
@example(["1 "], "x")
@example(["a."], "@")
@example(["12 Elm "], "!")
@settings(max_examples=25)
def test_time_grows_with_the_length_alone(pieces, end):
    unit = "".join(pieces)
    text = unit * (20_000 // len(unit)) + end
    scorer = load_scorer("pii")
    start = time.process_time()
    scorer.findings(text)
    assert time.process_time() - start < 3  # 20 kB; a pattern that backtracks takes minutes


@given(
    st.lists(st.sampled_from((*PIECES, "a@b.org", "212-555-0143", "https://x.org/y", "4111111111111111")), max_size=14)
)
@settings(max_examples=60)
def test_looking_near_anchors_finds_what_looking_everywhere_does(pieces):
    text = "".join(pieces)
    for pattern in PATTERNS:
        near = list(pattern.spans(text, anchors(pattern.near, text, text.lower())))
        group = "found" if "found" in pattern.shape.groupindex else 0
        assert near == [found.span(group) for found in pattern.shape.finditer(text) if pattern.holds(found[group])]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12))
def test_merged_findings_stand_apart_and_cover_the_same(spans):
    found = merged([Finding(a, a + n, ("x",)) for a, n in spans])
    assert all(one.end < two.start for one, two in pairwise(found))
    points = {2 * p for a, n in spans for p in range(a, a + n + 1)}  # touching spans are joined
    assert {2 * p for f in found for p in range(f.start, f.end + 1)} == points


@given(st.lists(st.integers(0, 200), max_size=5).map(sorted), st.integers(0, 30), st.integers(1, 30))
def test_windows_cover_each_anchor_once(places, before, after):
    covered = [p for begin, end in windows(places, before, after, 1000) for p in range(begin, end)]
    assert len(covered) == len(set(covered))
    assert set(covered) == {p for place in places for p in range(max(0, place - before), place + after)}


@pytest.mark.parametrize("kind", KINDS)
def test_recall_of_made_up_data(kind):
    scorer = load_scorer("pii", {"year": 2026})
    cases = sentences(kind, 200)
    found = [
        any(kind in f.kinds and f.start < end and f.end > start for f in scorer.findings(text))
        for text, start, end in cases
    ]
    missed = [text for (text, *_), hit in zip(cases, found, strict=True) if not hit]
    assert sum(found) >= 0.97 * len(found), missed[:5]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"date_of_birth"}))
def test_one_piece_is_one_finding(kind):
    scorer = load_scorer("pii", {"year": 2026})
    counts = [len(scorer.findings(text)) for text, *_ in sentences(kind, 100, seed=1)]
    assert sum(counts) <= 1.02 * len(counts)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_not_personal(text):
    assert load_scorer("pii").findings(text) == []


def test_scores_and_their_units():
    text = "a@example.com, b@example.com"
    scorer = load_scorer("pii")
    assert [(f.start, f.end, f.kinds) for f in scorer.findings(text)] == [(0, 13, ("email",)), (15, 28, ("email",))]
    assert scorer.score([text, ""]) == [2 / 28, 0]
    assert load_scorer("pii", {"normalise": "twice"}).score([text, ""]) == [2 / 28**2, 0]


def test_touching_findings_count_once():
    (found,) = load_scorer("pii").findings("see https://example.org/a@example.org")
    assert found.kinds == ("url", "email") or found.kinds == ("email", "url")


@pytest.mark.parametrize(
    ("text", "year", "count"),
    [
        ("DOB: 1980-05-04", None, 1),
        ("DOB: 1980-05-04", 2026, 1),
        ("DOB: 2020-05-04", 2026, 0),
        ("DOB: 2020-05-04", 2040, 1),
        ("DOB: 1920-05-04", 2026, 0),
        ("DOB: 04/05/80", 2026, 1),
        ("born\n\n1980-05-04", None, 1),
        ("born\n\n\n1980-05-04", None, 0),
        ("1980-05-04\nborn", None, 1),
        ("1980-05-04\n\nborn", None, 0),
        ("reborn 1980-05-04", None, 0),
    ],
)
def test_dates_near_a_word_of_birth(text, year, count):
    found = load_scorer("pii", {"year": year}).findings(text)
    assert sum("date_of_birth" in f.kinds for f in found) == count


@given(st.text(string.digits, min_size=1, max_size=18))
def test_one_check_digit_in_ten_is_right(body):
    assert sum(luhn(body + digit) for digit in string.digits) == 1


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (card, "4111 1111 1111 1111", "4111 1111 1111 1112"),
        (card, "378282246310005", "9999999999999995"),
        (card, "5555-5555-5555-4444", "5555-5555 5555 4444"),
        (ssn, "123-45-6789", "000-45-6789"),
        (ssn, "665-01-0001", "666-01-0001"),
        (ssn, "899-01-0001", "900-01-0001"),
        (ssn, "078-05-1121", "078-05-1120"),
        (ip_address, "93.184.216.34", "93.184.216.340"),
        (ip_address, "10.0.0.12", "2.7.1.8"),
        (ip_address, "2001:db8::ff00:42:8329", "abc::def"),
        (credential, "password: hunter2", "password: str"),
        (credential, "user: x\npassword: monkey", "password: monkey"),
        (credential, "api_key=4f9c1e2d", "api_key=get_key(1)"),
    ],
)
def test_what_a_pattern_cannot_say(check, good, bad):
    assert check(good)
    assert not check(bad)


def test_capitals_that_grow_in_lower_case_hide_nothing():
    assert [f.kinds for f in load_scorer("pii").findings("İ" * 300 + " a@example.org")] == [("email",)]
