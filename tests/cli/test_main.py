"""The command line as a whole: quick, typed right, with exit codes that scripts can trust."""

import json
import subprocess
import sys

import pytest

COMMANDS = (
    "demo", "ask", "trace", "lens", "attribute", "edit", "edit-fit", "sweep-layers", "apply", "merge", "undo", "show",
    "list", "doctor", "train", "score", "sample", "prefs", "red-team",
)  # fmt: skip


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_help_loads_no_torch_and_is_quick():
    code = (
        "import sys, time; began = time.perf_counter()\n"
        "from obverse.cli.main import app\n"
        "try: app(['edit', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = [n for n in ('torch', 'transformers', 'numpy') if n in sys.modules]\n"
        "print('\\n', heavy, time.perf_counter() - began, sep='|')"
    )
    runs = [_python(code).stdout.rsplit("|", 2) for _ in range(8)]  # the quickest: other tests run beside
    assert all(run[1] == "[]" for run in runs)
    assert min(float(run[2]) for run in runs) < 0.5


def test_importing_the_package_is_quick_and_light():
    code = (
        "import sys, time; began = time.perf_counter()\n"
        "import obverse\n"
        "seconds = time.perf_counter() - began\n"
        "assert 'torch' not in sys.modules and 'pydantic' not in sys.modules\n"
        "obverse.Fact, obverse.Case, obverse.Probe\n"
        "assert 'torch' not in sys.modules\n"
        "print(seconds)"
    )
    assert min(float(_python(code).stdout) for _ in range(3)) < 0.2


def test_every_public_name_is_there():
    import obverse

    assert len(obverse.__all__) <= 15
    assert set(obverse.__all__) == set(dir(obverse))
    for name in obverse.__all__:
        assert getattr(obverse, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        obverse.nothing  # noqa: B018


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_examples(obverse, name):
    ran = obverse(name, "--help")
    assert ran.code == 0
    assert "Examples" in ran.out
    assert f"obverse {name}" in ran.out
    assert "--json" in ran.out


def test_help_names_every_command_and_the_exit_codes(obverse):
    ran = obverse("--help")
    assert all(name in ran.out for name in COMMANDS)
    assert "130 interrupted" in " ".join(ran.out.split())


@pytest.mark.parametrize("args", [("edt",), ("edit", "--targt", "Paris"), ("list", "colours"), ("show",)])
def test_what_is_not_there_exits_with_2(obverse, args):
    ran = obverse(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err


def test_version(obverse):
    assert obverse("--version").out == "obverse 0.1.0\n"


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("methods", "rome"),
        ("editors", "rome"),
        ("datasets", "counterfact"),
        ("objectives", "bico"),
        ("scorers", "pii"),
        ("models", "gemma-3-270m"),
        ("relations", "located in city"),
    ],
)
def test_list(obverse, what, name):
    assert name in obverse("list", what).out
    found = json.loads(obverse("list", what, "--json").out)[what]
    assert name in [entry["name"] for entry in found]
    assert all(entry["about"] for entry in found)


def test_an_error_is_a_message_and_a_hint_on_stderr(obverse):
    ran = obverse("show", "nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "Error: There is no folder nowhere.\nName a folder that 'obverse edit' or 'obverse merge' wrote.\n"
    )


def test_the_ten_lines_of_the_readme(tiny_lm, monkeypatch, tmp_path):
    import obverse as ob

    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))
    lm = tiny_lm("llama")
    fact = ob.Fact("Space Needle", "The {} is in the city of", target="Paris", target_true="Seattle")
    edit = ob.edit(lm, fact, settings={"moment": None, "contexts": {"lengths": [[4, 2]]}})
    text = str(ob.verify(lm, edit))
    assert "Space Needle" in text
    assert "efficacy" in text
    assert "Space Needle" in str(ob.ask(lm, fact))


def test_progress_is_a_line_a_step_where_nobody_watches(capsys):
    from obverse.cli.console import Bars, notes
    from obverse.core import Progress, reporting

    with reporting(Bars(notes())), Progress("counting", 3) as progress:
        progress.advance(1, "loss 2.0")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("counting …\ncounting: ")


def test_progress_is_a_bar_on_a_terminal():
    import io

    from rich.console import Console

    from obverse.cli.console import Bars
    from obverse.core import Progress, reporting

    screen = io.StringIO()
    bars = Bars(Console(file=screen, force_terminal=True, width=120))
    with reporting(bars), Progress("counting", 4) as progress:
        progress.advance(2, "loss 2.0")
        bars._bars.refresh()
    assert "counting" in screen.getvalue()
    assert "50%" in screen.getvalue()
    assert "loss 2.0" in screen.getvalue()
