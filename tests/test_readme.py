"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_every_command_named_exists():
    from obverse.cli.main import PLACES

    known = set(PLACES)
    named = set(re.findall(r"`obverse ([a-z-]+)", README))
    assert named <= known
    assert {"demo", "ask", "edit", "apply", "merge", "show", "undo"} <= known


def test_the_file_of_facts_is_read(tmp_path):
    from obverse.data import read_cases

    (block,) = re.findall(r"```csv\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "facts.csv"
    path.write_text(block, "utf-8")
    (case,) = read_cases(path)
    assert set(case.probes) == {"efficacy", "generalization", "specificity", "reverse"}


@pytest.mark.real_model
def test_the_lines_of_python_run_and_move_the_fact(tmp_path):
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"efficacy\s+1\s+0% → 100%", done.stdout)
    assert (tmp_path / "needle" / "edit.json").is_file()
