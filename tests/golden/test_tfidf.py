"""Term weights and cosines against scikit-learn's defaults, as the original program uses them."""

import pytest
from tests.golden.conftest import golden

from obverse.measuring import Tfidf

CASE = golden("tfidf")


@pytest.mark.skipif(CASE is None, reason="no golden folder (set OBVERSE_GOLDEN)")
def test_terms_weights_and_cosines():
    tfidf = Tfidf.fit(CASE["documents"])
    assert set(tfidf.idf) == set(CASE["vocabulary"])
    for term, place in CASE["vocabulary"].items():
        assert tfidf.idf[term] == pytest.approx(CASE["idf"][place], abs=1e-9)
    assert CASE["pairs"]
    for pair in CASE["pairs"]:
        assert tfidf.cosine(pair["a"], pair["b"]) == pytest.approx(pair["cos"] or 0, abs=1e-9)
