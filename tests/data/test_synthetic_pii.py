"""The synthetic corpus: what is known of it by construction, and noise put on its labels."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.data.scored import ScoredText
from obverse.data.synthetic_pii import (
    KINDS,
    PIICorpus,
    flip_labels,
    luhn_valid,
    pii_documents,
    pii_findings,
    pii_hits,
)

SEEDS = st.integers(0, 2**31)


def documents(count: int, seed: int, dirty: float = 0.5, density: float = 0.38) -> list[ScoredText]:
    return list(pii_documents(PIICorpus(documents=count, dirty=dirty, density=density), seed))


@given(SEEDS)
def test_every_segments_score_is_what_the_shapes_find_in_it(seed: int) -> None:
    for document in documents(10, seed, dirty=0.8):
        kinds = document.meta["pii"]
        assert isinstance(kinds, list)
        for (text, score), kind in zip(document, kinds, strict=True):
            assert [found for found, _, _ in pii_findings(text)] == ([kind] if kind else [])
            assert score == pytest.approx(len(pii_findings(text)) / len(text))


@given(SEEDS)
def test_findings_do_not_depend_on_how_a_document_is_cut(seed: int) -> None:
    for document in documents(10, seed, dirty=1.0, density=0.9):
        assert pii_hits([document.text]) == [sum(pii_hits(list(document.segments)))]


@given(SEEDS, st.integers(1, 20), st.integers(1, 20))
def test_a_longer_corpus_begins_with_the_shorter_one(seed: int, first: int, more: int) -> None:
    assert documents(first + more, seed)[:first] == documents(first, seed)


@given(SEEDS, st.integers(0, 100))
def test_flips_at_a_lower_rate_are_flips_at_a_higher_one(seed: int, noise: int) -> None:
    for document in documents(5, seed, dirty=1.0):
        low, high = flip_labels(document, 0.2, noise), flip_labels(document, 0.6, noise)
        for true, a, b in zip(document.scores, low.scores, high.scores, strict=True):
            assert a in (true, b)
            assert (b == true) or ((b > 0) != (true > 0))


def test_no_flip_changes_nothing_and_all_flips_change_every_label() -> None:
    for document in documents(20, 0):
        assert flip_labels(document, 0.0, 1) == document
        flipped = flip_labels(document, 1.0, 1)
        assert all((a > 0) != (b > 0) for a, b in zip(document.scores, flipped.scores, strict=True))
        assert flipped.segments == document.segments


def test_shares_are_those_asked_for() -> None:
    scores = [score for document in documents(1500, 3) for score in document.scores]
    assert sum(score > 0 for score in scores) / len(scores) == pytest.approx(0.19, abs=0.015)
    scarce = documents(1500, 3, dirty=0.95)
    assert sum(document.average == 0 for document in scarce) / 1500 == pytest.approx(0.07, abs=0.02)
    assert all(document.average == 0 for document in documents(50, 3, dirty=0.0))


def test_nothing_in_it_can_belong_to_anybody() -> None:
    found = {kind: set[str]() for kind in KINDS}
    for document in documents(300, 5, dirty=1.0, density=1.0):
        for text in document.segments:
            for kind, start, end in pii_findings(text):
                found[kind].add(text[start:end])
    assert all(len(values) > 30 for values in found.values())
    assert all(mail.rpartition("@")[2] in ("example.com", "example.org", "example.net") for mail in found["email"])
    assert all("555-01" in phone for phone in found["phone"])
    assert all(luhn_valid(card) and card.startswith(("4000 00", "5555 55")) for card in found["card"])
    assert all(number.startswith("9") for number in found["ssn"])


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Call 312 555-0134 now.", ["phone"]),
        ("Call 55 501-34 now.", ["number"]),  # as a small model writes it
        ("The card is 4000 0012 3456 789.", ["number"]),
        ("In 1987 there were 12345.", []),
        ("Write to anna.berg@example or 7 Elm Lane.", ["email", "address"]),
    ],
)
def test_what_a_small_model_miscounts_is_found_too(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in pii_findings(text)] == kinds


@pytest.mark.parametrize(
    ("digits", "valid"), [("4111 1111 1111 1111", True), ("4111 1111 1111 1112", False), ("0", True)]
)
def test_luhn(digits: str, valid: bool) -> None:
    assert luhn_valid(digits) is valid


def test_seeds_give_other_documents() -> None:
    assert documents(1, 0) != documents(1, 1)
    assert len({document.text for document in islice(pii_documents(PIICorpus(), 0), 200)}) == 200
