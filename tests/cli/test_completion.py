"""What the shell completes: the names there are, at once, for each shell."""

import os
import subprocess
import sys

import pytest

from obverse.cli import completion
from obverse.recipes.bench.data import NAMES

SHELLS = ("bash", "zsh", "fish")


def test_names_found_without_imports_are_those_of_the_registries():
    from obverse.editing import editors
    from obverse.editing.learned import LearnedEditor
    from obverse.measuring.scorers import scorers
    from obverse.model import BUILTINS
    from obverse.training.objectives import objectives

    assert completion.editors() == editors.names()
    assert completion.objectives() == objectives.names()
    assert completion.scorers() == scorers.names()
    assert tuple(BUILTINS) == completion.MODELS
    assert NAMES == completion.DATASETS
    assert [name for name in editors.names() if issubclass(editors.load(name), LearnedEditor)] == [*completion.FITTED]


def test_every_objective_can_be_completed_as_a_method_of_training():
    assert set(completion.complete_objective("")) >= set(completion.objectives()) - {"mixture"}


def test_several_with_commas():
    assert completion.complete_editors("rome,me") == ["rome,memit", "rome,mend"]
    assert completion.complete_editors("rome,rome") == ["rome,rome-both"]  # given already
    assert "ft" in completion.complete_editors("")
    assert completion.complete_objectives("mle,ml") == ["mle,mlm-u"]


def test_files_are_completed_beside_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "w.gguf").touch()
    (tmp_path / "smile.txt").touch()
    (tmp_path / ".hidden").mkdir()
    assert completion.complete_model("sm") == ["smollm2-135m", "small/"]
    assert completion.complete_model("small/") == ["small/w.gguf"]
    assert completion.complete_model(f"{tmp_path}/sma") == [f"{tmp_path}/small/"]
    assert completion.complete_model("nowhere/") == []
    assert ".hidden/" not in completion.complete_model("")
    assert completion.complete_model(".h") == [".hidden/"]


def _completed(shell, words):
    typed = " ".join(words)
    asked = (
        {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
        if shell == "bash"
        else {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    code = (
        "import sys\nfrom obverse.cli.main import app\ntry: app(prog_name='obverse')\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules], "
        "file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "_OBVERSE_COMPLETE": f"complete_{shell}", **asked},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stderr.strip().endswith("[]"), ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("shell", "words", "names"),
    [
        ("bash", ("obverse", "edit", "--method", "rom"), ("rome", "rome-both")),
        ("zsh", ("obverse", "train", "--method", "con"), ("conditional",)),
        ("fish", ("obverse", "ask", "--model", "gem"), ("gemma-3-270m",)),
        ("bash", ("obverse", "list", "ed"), ("editors",)),
    ],
)
def test_a_shell_completes_values_and_loads_nothing_heavy(shell, words, names):
    shown = _completed(shell, words)
    assert all(name in shown for name in names)
    assert "memit" not in shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell(capsys, monkeypatch, shell):
    from obverse.cli.main import app

    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, f"/bin/{shell}"))
    with pytest.raises(SystemExit) as ended:
        app(["--show-completion"], prog_name="obverse")
    assert not ended.value.code
    assert f"_OBVERSE_COMPLETE=complete_{shell}" in capsys.readouterr().out


def test_a_description_is_one_line():
    asked = {"_OBVERSE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code = "import sys\nfrom obverse.cli.main import main\nsys.argv = ['obverse']\nmain()"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_TYPER_COMPLETE_ARGS": "obverse edit --"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = ran.stdout.splitlines()
    assert len(lines) > 20
    assert all(line.startswith("--") for line in lines)
