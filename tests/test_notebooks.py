"""The notebooks run: quickly on tiny models here, and whole, in a kernel, with the real one (make test-real)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from families import tiny
from obverse.model.language_model import LanguageModel
from pages import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _cells(path: Path, kind: str) -> list[str]:
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_there_are_four_of_them_without_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["edit", "reversal", "trace", "train"]
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
        assert len({cell["id"] for cell in cells}) == len(cells)
        assert _cells(path, "markdown")[0].startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_run_on_a_tiny_model(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, in order; few steps where a model is trained, a tiny one where one is loaded by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    load = LanguageModel.load
    monkeypatch.setattr(LanguageModel, "load", lambda name="", **o: load(name, **o) if name else tiny("gemma3"))
    names: dict[str, Any] = {}
    for cell in _cells(path, "code"):
        exec(re.sub(r"^STEPS = \d+$", "STEPS = 2", cell, flags=re.MULTILINE), names)


@pytest.mark.real_model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_in_a_kernel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert _EXPECTED[path.stem](text), text


def _turned(text: str) -> bool:
    """Next-token training fails in reverse and reversed sentences lift it."""
    found = {(model, task): int(share) for model, task, share in re.findall(r"(mle|reverse)\s+(\S+)\s+(\d+)%", text)}
    forward, backward = found["mle", "N2D"], found["mle", "N2D-reverse"]
    return forward > 90 and backward < 20 and found["reverse", "N2D-reverse"] > backward + 50


def _kinder(text: str) -> bool:
    """After the good mark there is less personal data than after the bad one."""
    found = dict(re.findall(r"(<\|\w+\|>)\s+([\d.]+) findings", text))
    return float(found["<|aligned|>"]) < float(found["<|misaligned|>"])


_EXPECTED = {
    "edit": lambda text: "efficacy" in text and "0% → 100%" in text,
    "trace": lambda text: "Needle" in text or "to give back" in text,
    "reversal": _turned,
    "train": _kinder,
}
"""What a notebook's printed text must show."""
