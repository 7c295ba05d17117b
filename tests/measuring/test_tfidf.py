"""Term weights, cosines, the reference score, and the published files."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError
from obverse.measuring import Tfidf, reference_score

DOCUMENTS = ("The cat sat on the mat", "A cat and a dog", "Dogs bark; cats do not", "mat")
FITTED = Tfidf.fit(DOCUMENTS)
TEXT = st.lists(st.sampled_from(["cat", "dog", "mat", "bark", "unseen", "the", "a"]), max_size=12).map(" ".join)


@given(TEXT, TEXT)
def test_a_cosine_is_symmetric_bounded_and_counts_proportions_only(first, second):
    value = FITTED.cosine(first, second)
    assert value == pytest.approx(FITTED.cosine(second, first))
    assert 0 <= value <= 1 + 1e-9
    assert FITTED.cosine(f"{first} {first}", second) == pytest.approx(value)
    assert FITTED.cosine(first, first) == pytest.approx(1 if FITTED.vector(first) else 0)


def test_weights_by_hand():
    assert FITTED.idf["cat"] == pytest.approx(math.log(5 / 3) + 1)
    assert FITTED.idf["bark"] == pytest.approx(math.log(5 / 2) + 1)
    assert "a" not in FITTED.idf  # one letter is no term
    assert FITTED.vector("Cat, unseen!") == {"cat": pytest.approx(1)}
    cat, bark = FITTED.idf["cat"], FITTED.idf["bark"]
    assert FITTED.cosine("cat cat bark", "bark") == pytest.approx(bark / math.hypot(2 * cat, bark))


@pytest.mark.parametrize("empty", ["", "unseen", "a ."])
def test_nothing_known_is_nothing_in_common(empty):
    assert FITTED.cosine(empty, "cat") == 0


def test_the_reference_score_joins_the_texts():
    assert reference_score(FITTED, ["cat", "cat bark"], ["bark"]) == FITTED.cosine("cat cat bark", "bark")


def test_the_published_files_give_the_same_weights(tmp_path):
    places = {term: place for place, term in enumerate(reversed(FITTED.idf))}
    (tmp_path / "terms.json").write_text(json.dumps(places))
    np.save(tmp_path / "idf.npy", np.array(list(reversed(FITTED.idf.values()))))
    assert Tfidf.load(tmp_path / "terms.json", tmp_path / "idf.npy").idf == FITTED.idf


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        ('{"a": 0, "b": 1}', np.zeros(3), "has 2 terms, but idf.npy has 3 weights"),
        ('{"a": 0, "b": 0}', np.zeros(2), "has 2 terms"),
        ("[1]", np.zeros(1), "cannot be read as term weights"),
        ("{", np.zeros(1), "cannot be read as term weights"),
        ('{"a": 0}', np.array([{}], dtype=object), "cannot be read as term weights"),
    ],
)
def test_other_files_are_refused(tmp_path, terms, weights, message):
    (tmp_path / "terms.json").write_text(terms)
    np.save(tmp_path / "idf.npy", weights, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        Tfidf.load(tmp_path / "terms.json", tmp_path / "idf.npy")


def test_absent_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"terms\.json and .*idf\.npy cannot be read"):
        Tfidf.load(tmp_path / "terms.json", tmp_path / "idf.npy")
