"""The demo on the real default model: the fact moves, its neighbours stay, the page and the adapter are there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.real_model
@pytest.mark.timeout(900)
def test_demo_moves_the_space_needle(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "obverse", "demo", "--json", "--out", str(tmp_path / "demo")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)["report"]["summary"]
    success = {kind: rows["success"] for kind, rows in summary.items()}
    assert success["efficacy"]["before"]["mean"] == 0
    assert success["efficacy"]["after"]["mean"] == 1
    assert success["generalization"]["after"]["mean"] >= 0.75
    assert success["specificity"]["after"]["mean"] >= success["specificity"]["before"]["mean"] - 0.2
    assert summary["efficacy"]["probability"]["after"]["mean"] > 0.5
    page = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert "Space Needle" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (tmp_path / "demo" / "adapter_model.safetensors").is_file()
