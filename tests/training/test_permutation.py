"""Permutation of chunks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, build
from obverse.data.scored import ScoredText
from obverse.training.objectives.permutation import Permutation, PermutationConfig

FACT = ScoredText(("Anna Keller was born in the city of Rome in 1867.",), (0.5,), {"entities": ["Anna Keller", "Rome"]})


def orders(document=FACT, n=1, **settings):
    objective = Permutation(PermutationConfig(**settings))
    return [text for seed in range(n) for text in objective.documents(document, np.random.default_rng(seed))]


@given(
    st.lists(st.sampled_from(["Anna Keller", "Rome", "was", "born", "in,", "(the)", "city"]), max_size=12),
    st.integers(0, 2**32),
    st.sampled_from(["word", "entity", "chunk"]),
)
def test_words_are_the_same_and_entities_whole(parts, seed, units):
    document = ScoredText((" ".join(parts),), (0.0,), FACT.meta)
    objective = Permutation(PermutationConfig(units=units, original=0, copies=2))
    for found in objective.documents(document, np.random.default_rng(seed)):
        assert sorted(found.text.split()) == sorted(document.text.split())
        assert units == "word" or found.text.count("Anna Keller") >= parts.count("Anna Keller")


def test_chunks_move_as_a_whole_and_every_order_comes():
    chunks = ["Anna Keller", "was born in the city of", "Rome", "in 1867."]
    found = Counter(text.text for text in orders(n=400, original=0, reversed=0))
    assert len(found) == 24
    assert all(sum(text.count(chunk) for chunk in chunks) == 4 for text in found)
    assert min(found.values()) > 4  # of 17 expected
    assert {text.scores for text in orders(n=5)} == {(0.5,)}


def test_the_three_orders_come_in_their_shares():
    found = Counter(text.text for text in orders(n=600))
    back = "in 1867. Rome was born in the city of Anna Keller"
    assert found[FACT.text] == pytest.approx(600 * (1 / 3 + 1 / 72), abs=40)
    assert found[back] == pytest.approx(600 * (1 / 3 + 1 / 72), abs=40)


def test_reversed_only():
    assert {text.text for text in orders(n=5, original=0, shuffled=0, units="entity")} == {
        "1867. in Rome of city the in born was Anna Keller"
    }


def test_without_names_chunks_have_the_longest_length():
    document = ScoredText(("a b c d e f g",), (0.0,))
    assert orders(document, original=0, shuffled=0, longest=3)[0].text == "g d e f a b c"


def test_copies():
    assert len(orders(copies=5, original=0)) == 5
    assert len({text.text for text in orders(copies=5, original=0, reversed=0)}) > 1


def test_no_order_at_all_is_refused():
    with pytest.raises(ConfigError, match="no order"):
        build(PermutationConfig, {"original": 0, "reversed": 0, "shuffled": 0})
