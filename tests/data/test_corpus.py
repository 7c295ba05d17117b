"""Corpora: seeded order, an identity that changes with the text, clear errors."""

import pytest

from obverse.core import ConfigError, UnknownName
from obverse.data.corpus import _docstrings, corpus


def test_files_and_folders(tmp_path):
    (tmp_path / "a.txt").write_text("One.\n\nTwo.\r\n\r\nThree.", "utf-8")
    (tmp_path / "b.txt").write_text("Four.", "utf-8")
    one, both = corpus(str(tmp_path / "a.txt")), corpus(str(tmp_path))
    assert sorted(one.texts()) == ["One.", "Three.", "Two."]
    assert len(list(both.texts())) == 4
    assert one.identity != both.identity
    (tmp_path / "a.txt").write_text("One.\n\nTwo.", "utf-8")
    assert corpus(str(tmp_path / "a.txt")).identity != one.identity


@pytest.mark.parametrize("name", ["docstrings", "facts", "mixed"])
def test_order_depends_on_the_seed_alone(name):
    first = list(corpus(name, 1).texts())
    assert first == list(corpus(name, 1).texts())
    assert first != list(corpus(name, 2).texts())
    assert corpus(name, 1).identity != corpus(name, 2).identity
    assert len(first) > 100


def test_docstrings_are_the_same_in_another_process():
    first = _docstrings()
    _docstrings.cache_clear()  # as there: nothing is remembered
    assert _docstrings() == first


def test_mixed_gives_about_as_much_of_each():
    docs, facts = set(corpus("docstrings").texts()), set(corpus("facts").texts())
    texts = list(corpus("mixed").texts())
    sizes = [sum(len(t) for t in texts if t in part) for part in (docs, facts)]
    assert 0.5 < sizes[0] / sizes[1] < 2


def test_unknown_and_empty(tmp_path):
    with pytest.raises(UnknownName, match="docstrings"):
        corpus("docstring")
    (tmp_path / "empty.txt").write_text(" \n\n")
    with pytest.raises(ConfigError, match="no text"):
        corpus(str(tmp_path / "empty.txt"))
