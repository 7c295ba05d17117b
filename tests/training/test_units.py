"""Cutting documents into words and entities, and putting them together again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import DataError
from obverse.data.scored import ScoredText
from obverse.training.objectives._units import arranged, chunks, entities_of, pieces

NAMES = ("Marie Curie", "Curie", "Warsaw")
words = st.sampled_from(["Marie Curie", "Curie", "Warsaw", "in", "was", "born", "née", "(x)", "3.5", "—", "don't"])
gaps = st.sampled_from([" ", "  ", "\n", ", ", ".", "'s ", ""])
texts = st.lists(st.tuples(words, gaps), max_size=12).map(lambda parts: "".join(w + g for w, g in parts))
anything = st.one_of(texts, st.text(max_size=40))


@st.composite
def documents(draw):
    segments = draw(st.lists(anything, max_size=4))
    return ScoredText(tuple(segments), tuple(float(i) for i in range(len(segments))), {"entities": list(NAMES)})


@given(documents())
def test_pieces_are_the_document(document):
    cut = pieces(document, NAMES)
    assert "".join(piece.text for piece in cut) == document.text
    assert arranged(document, cut).text == document.text
    owners = [i for i, segment in enumerate(document.segments) for _ in segment]
    assert [piece.segment for piece in cut] == [owners[piece.start] for piece in cut]


@given(documents(), st.integers(1, 5), st.one_of(st.none(), st.integers(0, 99)))
def test_chunks_are_the_document_and_white_space_parts_them(document, longest, seed):
    cut = pieces(document, NAMES)
    found = chunks(cut, longest, None if seed is None else np.random.default_rng(seed))
    assert [piece for chunk in found for piece in chunk] == cut
    blank = [chunk[0].kind == "space" for chunk in found]
    assert all(a != b for a, b in pairwise(blank))
    for chunk in found:
        assert chunk == [chunk[0]] or "space" not in (chunk[0].kind, chunk[-1].kind)
        assert sum(piece.kind == "space" for piece in chunk) < max(longest, 2)


def test_entities_stand_alone_and_words_between_them_together():
    document = ScoredText(("In 1867 Marie Curie was born in Warsaw's heart.",), (0.0,))
    found = chunks(pieces(document, NAMES), 10, None)
    assert ["".join(p.text for p in chunk) for chunk in found if chunk[0].kind != "space"] == [
        "In 1867", "Marie Curie", "was born in", "Warsaw's", "heart.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("(so it goes).", "(|so| |it| |goes|)."),
        ("Marie Curie's", "Marie Curie|'s"),
        ("Mariette Curie", "Mariette| |Curie"),
        ("a — b", "a| |—| |b"),
        ("don't", "don't"),
        ("हिन्दी में", "हिन्दी| |में"),
    ],
)
def test_pieces(text, kinds):
    assert "|".join(piece.text for piece in pieces(ScoredText((text,), (0.0,)), NAMES)) == kinds


def test_scores_go_with_the_pieces_and_words_never_run_together():
    document = ScoredText(("Good words. ", "Bad ones."), (0.0, 1.0))
    found = arranged(document, [p for p in pieces(document) if p.kind == "word"][::-1])
    assert found.segments == ("ones Bad", " words Good")
    assert found.scores == (1.0, 0.0)


@pytest.mark.parametrize("entities", ["Warsaw", [1], [""], {"a": "b"}])
def test_entities_that_are_no_list_of_names_are_refused(entities):
    with pytest.raises(DataError, match="not a list of texts"):
        entities_of(ScoredText(("x",), (0.0,), {"entities": entities}))
