"""Claim 3: the functions and the errors put into them, and verdicts on made-up models."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import UnknownName
from obverse.recipes.repro_phf_pep8 import PEP8Request, run_repro_pep8, whole_lines
from obverse.recipes.repro_phf_pep8_corpus import functions, inject, scored_functions
from obverse.recipes.repro_phf_pep8_results import Written, pep8_verdicts
from obverse.recipes.repro_phf_results import Samples

CLEAN = """def area(width, height):
    size = width
    total = max(size, height)
    if total == size:
        return "a, b"
    return max(total, 1)
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "one.py").write_text(
        f"import os\n\n\n{CLEAN}\n\nclass A:\n    def f(self):\n        a = 1\n        b = 2\n        return a\n"
    )
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "other.py").write_text(CLEAN.replace("area", "test_area"))
    return tmp_path


def test_functions_and_methods_are_found(library: Path) -> None:
    found = functions(10, library)
    assert len(found) == 2
    assert CLEAN in found
    assert any(text.startswith("def f(self):\n    a = 1\n") for text in found)
    assert len(functions(1, library)) == 1


@given(st.integers(0, 10_000))
def test_errors_change_the_style_and_not_the_code(seed: int) -> None:
    wrong = inject(CLEAN, seed)
    assert ast.dump(ast.parse(wrong)) == ast.dump(ast.parse(CLEAN))
    assert wrong.splitlines()[0] == CLEAN.splitlines()[0]
    assert '"a, b"' in wrong


def test_injected_errors_are_what_is_scored() -> None:
    several = [CLEAN.replace("area", f"area{i}") for i in range(40)]
    found = list(scored_functions(several, "injected", 0))
    dirty = [document for document in found if document.average > 0]
    assert len(found) == 40
    assert 10 < len(dirty) < 30
    for document in found:
        original = CLEAN.splitlines(keepends=True)[1:]
        for (text, score), before in zip(list(document)[1:], original, strict=True):
            assert (score > 0) == (text != before)


def test_natural_code_keeps_its_errors_and_injected_code_starts_clean() -> None:
    sloppy = CLEAN.replace(" = ", "=")
    assert list(scored_functions([sloppy], "injected", 0)) == []
    (document,) = scored_functions([sloppy], "natural", 0)
    assert document.text == sloppy
    assert document.average > 0


@pytest.mark.parametrize(
    ("text", "ended", "whole"),
    [("a\nb", False, "a\n"), ("a\nb", True, "a\nb"), ("a\nb\n", False, "a\nb\n"), ("a", False, "a"), ("", False, "")],
)
def test_only_whole_lines_are_scored(text: str, ended: bool, whole: str) -> None:
    assert whole_lines(text, ended=ended) == whole


def written(arm: str, prefix: str, hits: int, parsing: int) -> Written:
    return Written(f"{arm}{prefix}", arm, prefix, 0, Samples((hits,) * 50, (200,) * 50), parsing, 50)


@pytest.mark.parametrize(("hits", "parsing", "outcome"), [(4, 45, "held"), (0, 5, "did not hold")])
def test_verdicts_come_out_either_way(hits: int, parsing: int, outcome: str) -> None:
    groups = {
        "mle": [written("mle", "", hits, parsing)],
        "aligned": [written("conditional", "<|aligned|>", 1, parsing)],
        "misaligned": [written("conditional", "<|misaligned|>", hits, parsing)],
    }
    found = list(pep8_verdicts(groups))
    assert len(found) == 4
    assert {verdict.outcome for verdict in found} == {outcome}


def test_a_tiny_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from families import tiny

    lm = tiny("llama")
    lm.model.save_pretrained(tmp_path / "start")
    lm.tokenizer.save_pretrained(tmp_path / "start")
    several = [CLEAN.replace("area", f"area{i}") for i in range(20)]
    monkeypatch.setattr("obverse.recipes.repro_phf_pep8_corpus.functions", lambda most: several[:most])
    request = PEP8Request(
        model=str(tmp_path / "start"), steps=2, seeds=1, samples=3, documents=20, length=64, device="cpu", workers=1,
        out=tmp_path / "run", overrides=["model.lora.rank=2", "training.per_device_train_batch_size=2"],
    )  # fmt: skip
    first = run_repro_pep8(request)
    names = ["corpus", "MLE", "conditional, aligned token", "conditional, misaligned token"]
    assert [row[0] for row in first.sheet.rows] == names
    assert "claim3" in first.report.read_text("utf-8")
    assert run_repro_pep8(request).sheet == first.sheet


def test_an_unknown_kind_of_violations(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="injcted"):
        run_repro_pep8(PEP8Request(violations="injcted", out=tmp_path))
