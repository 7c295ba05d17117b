"""PEP 8: both back-ends, lines against documents, and where failures go."""

import math
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.core import ConfigError, ObverseError
from obverse.measuring.scorers import _ruff
from obverse.measuring.scorers._pycodestyle import Violation, split_lines
from obverse.measuring.scorers.loading import load_scorer

BACKENDS = ["pycodestyle", pytest.param("ruff", marks=pytest.mark.skipif(not find_spec("ruff"), reason="no ruff"))]
CODE = st.lists(
    st.sampled_from(
        ["x = 1", "x=1", " ", "\n", "\r\n", "def f( ):\n", "    return x", "#c", "\t", "é", "'", "(", "\f", ";"]
    ),
    max_size=12,
).map("".join)
CLEAN = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\nprint(add(1, 2), os.sep)\n"


def codes(scorer, text):
    (found,) = scorer.violations([text])
    return [violation.code for violation in found]


@given(st.text(alphabet="a \n\r\f\x0b\x1c\u2028", max_size=30))
def test_lines_joined_are_the_text(text):
    lines = split_lines(text)
    assert "".join(lines) == text
    assert len(lines) == text.count("\n") + bool(text and not text.endswith("\n"))


@given(CODE)
@settings(max_examples=40)
def test_lines_and_document_count_the_same(text):
    scorer = load_scorer("pep8")
    (found,), (lines,) = scorer.violations([text]), scorer.score_lines([text])
    assert scorer.score([text]) == [len(found) / len(text) if text else 0]
    pieces = split_lines(text)
    past = sum(violation.line > len(pieces) for violation in found)
    assert sum(n * len(line) for n, line in zip(lines, pieces, strict=True)) == pytest.approx(len(found) - past)


@pytest.mark.parametrize("backend", BACKENDS)
def test_faults_are_found(backend):
    scorer = load_scorer("pep8", {"backend": backend})
    assert codes(scorer, CLEAN) == []
    assert codes(scorer, "x = 1; y = 2\n") == ["E702"]
    assert codes(scorer, "value = '" + "a" * 80 + "'\n") == ["E501"]
    assert codes(scorer, "import os, sys  # noqa\n") == ["E401"]
    assert codes(scorer, "x = (1,\n     2\n") == ["E901"]
    assert codes(scorer, "x = a+b\n") == []  # E226, left out by default
    assert scorer.score(["x = 1; y = 2\n", CLEAN, ""]) == [1 / 13, 0, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_settings_change_what_counts(backend):
    def found(text, **settings):
        return codes(load_scorer("pep8", {"backend": backend} | settings), text)

    assert found("x = a+b\n", ignore=()) == ["E226"]
    assert found("x = 1; y=2\n", ignore=("E7",)) == ["E225"]
    assert found("x = 1; y=2\n", ignore=("E", "W")) == []
    assert found("value = 'aaaaaaaa'\n", max_line_length=10) == ["E501"]
    assert found("x = (1,\n", syntax=False) == []
    assert found("x = 1\ny = 2", complete_lines=True) == found("x = 1\n\n\n", complete_lines=True) == []
    assert found("x = 1  \ny = 2  ", complete_lines=True) == ["W291"]
    assert found("x = 1  \ny = 2  ") == ["W291", "W291", "W292"]


@pytest.mark.skipif(not find_spec("ruff"), reason="no ruff")
def test_ruff_counts_lines_as_everybody_else():
    scorer = load_scorer("pep8", {"backend": "ruff"})
    (found,) = scorer.violations(["a = 1\rb=2\nc=3\n"])  # to ruff the lone carriage return ends a line
    assert [(v.line, v.column, v.code) for v in found if v.code == "E225"] == [(1, 8, "E225"), (2, 2, "E225")]
    (lines,) = scorer.score_lines(["import a\n\f\n\nx=1\n"])
    assert len(lines) == 4
    assert lines[3] == 1 / 4


@pytest.mark.skipif(not find_spec("ruff"), reason="no ruff")
def test_ruff_takes_more_texts_than_fit_a_call(monkeypatch):
    scorer = load_scorer("pep8", {"backend": "ruff"})
    texts = ["x=1\n", CLEAN, "\ud800", "", "y = 1; z = 2\n"]
    at_once = scorer.violations(texts)
    monkeypatch.setattr(_ruff, "AT_ONCE", 2)
    assert scorer.violations(texts) == at_once
    assert [found and [v.code for v in found] for found in at_once] == [["E225"], [], None, [], ["E702"]]


def test_ruff_missing_or_failing_says_what_to_do(monkeypatch):
    with pytest.raises(ObverseError, match="ruff failed: No such rule") as caught:
        _ruff._run(["/bin/sh", "-c", "echo No such rule >&2; exit 2"])
    assert "backend=pycodestyle" in caught.value.hint
    monkeypatch.setattr(_ruff, "find_spec", lambda _: None)
    monkeypatch.setattr(_ruff, "which", lambda _: None)
    with pytest.raises(ConfigError, match="ruff is not installed") as caught:
        load_scorer("pep8", {"backend": "ruff"})
    assert "pip install" in caught.value.hint


def test_both_back_ends_agree_on_python():
    pytest.importorskip("ruff")
    import bisect
    import inspect
    import textwrap

    sources = [inspect.getsource(module) for module in (bisect, textwrap)]
    first, second = (load_scorer("pep8", {"backend": name}).score_lines(sources) for name in ("pycodestyle", "ruff"))
    pairs = [(a > 0, b > 0) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)]
    assert sum(a == b for a, b in pairs) / len(pairs) > 0.95
    assert any(a for a, _ in pairs)


def test_no_configuration_of_the_user_is_read(monkeypatch, tmp_path):
    import pycodestyle

    (tmp_path / "pycodestyle").write_text("[pycodestyle]\nmax-line-length = 10\nignore = E225\n")
    (tmp_path / "setup.cfg").write_text("[pycodestyle]\nmax-line-length = 10\n")
    (tmp_path / "ruff.toml").write_text("line-length = 10\n")
    monkeypatch.setattr(pycodestyle, "USER_CONFIG", str(tmp_path / "pycodestyle"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for backend in ["pycodestyle", *(["ruff"] if find_spec("ruff") else [])]:
        assert codes(load_scorer("pep8", {"backend": backend}), "value=1234567890\n") == ["E225"]


def test_a_text_that_cannot_be_checked_is_not_clean(monkeypatch):
    scorer = load_scorer("pep8")
    monkeypatch.setattr(type(scorer._finder), "check", lambda _, texts: [None for _ in texts])
    assert math.isnan(scorer.score(["x\ny\n"])[0])
    assert [math.isnan(score) for score in scorer.score_lines(["x\ny\n"])[0]] == [True, True]


def test_what_makes_pycodestyle_fail_is_nan():
    class Fails:
        def __init__(self, **_):
            pass

        def check_all(self):
            raise IndexError

    scorer = load_scorer("pep8")
    scorer._finder._checker = Fails
    assert scorer.violations(["x = 1\n"]) == [None]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("x = 1", True), ("", True), ("This is prose.", False), ("\0", False), ("(" * 5000, False), ("\ud800", False)],
)
def test_parses_tells_prose_from_python(text, parsed):
    assert load_scorer("pep8").parses([text]) == [parsed]


def test_a_violation_has_a_place():
    assert load_scorer("pep8").violations(["x = 1\ny=1\n"]) == [[Violation(2, 2, "E225")]]
