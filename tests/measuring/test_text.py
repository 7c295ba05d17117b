"""Words, entropy of n-grams, distinct n-grams."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.measuring import distinct, entropy, ngram_entropy, words

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=30)


def naive(found, n):
    """The definition, term by term."""
    runs = list(zip(*(found[i:] for i in range(n)), strict=False))
    shares = [runs.count(run) / len(runs) for run in set(runs)]
    return -sum(share * math.log(share) for share in shares) / math.log(2)


@given(WORDS, st.integers(1, 4))
def test_entropy_is_its_definition_and_bounded(found, n):
    value = entropy(found, n)
    assert value == pytest.approx(naive(found, n), abs=1e-9)
    count = len(found) - n + 1
    assert 0 <= value <= (math.log2(count) + 1e-9 if count > 0 else 0)


@given(WORDS.filter(lambda found: len(found) > 3))
def test_entropy_does_not_care_which_words_they_are(found):
    renamed = [{"a": "x", "b": "y", "c": "z", "d": "w"}[word] for word in found]
    assert entropy(found, 2) == pytest.approx(entropy(renamed, 2))


@given(st.text(alphabet="ab .,'\"()!?\n", max_size=40))
def test_words_lose_no_letter(text):
    kept = "".join(words(text))
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]
    assert not any(c.isspace() for c in kept)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He can't.", ["He", "ca", "n't", "."]),
        ("one. two.", ["one.", "two", "."]),
        ('"Yes," she said', ["``", "Yes", ",", "''", "she", "said"]),
        ("3,000 at 5:30", ["3,000", "at", "5:30"]),
        ("", []),
    ],
)
def test_words_by_the_rules_of_the_treebank(text, expected):
    assert words(text) == expected


def test_repetition_lowers_the_entropy():
    plain, dull = "a b c d e f g h i j", "a b a b a b a b a b"
    assert ngram_entropy([plain]) == pytest.approx((2 / 3 * math.log2(9) + 4 / 3 * math.log2(8)) / 2)
    assert ngram_entropy([dull]) < 1.1 < ngram_entropy([plain, dull]) < ngram_entropy([plain])
    assert ngram_entropy(["a b", "a", ""]) == 0
    assert distinct([plain], 2) == 1
    assert distinct([dull], 2) == pytest.approx(2 / 9)
    assert distinct(["a b", "a b"], 2) == 0.5
    assert distinct(["a", ""], 2) == 0
