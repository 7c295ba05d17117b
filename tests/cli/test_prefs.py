"""The commands that let a model write: sample, prefs, red-team."""

import json
import subprocess
import sys

import pytest
import typer

from command_line import calling

SCORER = """
from obverse.core import Config

class Settings(Config):
    letter: str = "e"

class Letters:
    config_type, unit, segments = Settings, "letters a character", "sentences"
    def __init__(self, config): self.config = config
    def score(self, texts): return [text.count(self.config.letter) / max(1, len(text)) for text in texts]
"""
SHORT = ("-n", "6", "--max-length", "12", "--set", "min_length=0")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, cache):
    from obverse.cli import prefs, red_team, sample

    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.py").write_text(SCORER, "utf-8")
    app = typer.Typer()
    app.command("sample", epilog=sample.EPILOG)(sample.sample)
    app.command("prefs", epilog=prefs.EPILOG)(prefs.prefs)
    app.command("red-team", epilog=red_team.EPILOG)(red_team.red_team)
    return calling(app, capsys)


def test_sample_and_prefs_of_its_file(run, model, tmp_path):
    ran = run("sample", "-m", model, *SHORT, "-p", "The Prado", "--out", "texts.jsonl")
    assert ran.code == 0, ran.err
    assert "prompted, 6 texts" in ran.out
    assert len((tmp_path / "texts.jsonl").read_text("utf-8").splitlines()) == 6
    assert run("sample", "-m", model, *SHORT, "--out", "texts.jsonl").code == 2
    ran = run("prefs", "texts.jsonl", "-s", "letters.py:Letters", "--scorer-set", "letter=a", "--json")
    assert ran.code == 0, ran.err
    (found,) = json.loads(ran.out)["compared"]
    metrics = found["preferences"]["prompted"]["metrics"]
    texts = [json.loads(line)["text"] for line in (tmp_path / "texts.jsonl").read_text("utf-8").splitlines()]
    assert metrics["score"]["mean"] == pytest.approx(sum(t.count("a") / len(t) for t in texts) / 6)


def test_prefs_of_a_model_as_a_table(run, model, tmp_path):
    ran = run(
        "prefs", "-m", model, "-s", "letters.py:Letters", *SHORT,
        "--reference", model, "--kl-samples", 5, "--kl-length", 4, "--out", "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    for said in ("self-BLEU", "max@25", "Fewer than 25", "forward", "worst of", "report.html"):
        assert said in ran.out
    assert (tmp_path / "out" / "report.html").is_file()


def test_scenarios_of_a_file(run, model, tmp_path):
    (tmp_path / "s.yaml").write_text("- {name: a, samples: 2}\n- {name: b, prompts: [The Prado]}\n", "utf-8")
    ran = run("sample", "-m", model, "--scenario", "s.yaml", *SHORT[2:], "-n", "3", "--json")
    assert ran.code == 0, ran.err
    samples = json.loads(ran.out)["samples"]
    assert {name: len(found) for name, found in samples.items()} == {"a": 3, "b": 3}
    assert samples["b"][0]["prompt"] == "The Prado"


def test_red_team(run, model, tmp_path):
    (tmp_path / "pool.txt").write_text("Anna Keller plays\nThe Prado is\n", "utf-8")
    args = ("red-team", "-m", model, "-s", "letters.py:Letters", "--pool", "pool.txt", "--rounds", 2, "--trials", 1,
            "-n", 2, "--max-length", 20, "--search-set", "candidates=3")  # fmt: skip
    ran = run(*args, "--out", "a")
    assert ran.code == 0, ran.err
    assert "Prompts that the model continues worst" in ran.out
    again = run(*args, "--out", "a", "--json")
    assert json.loads(again.out)["curve"][2]["round"] == 2
    ran = run(*args, "--out", "b", "--attacker", model, "--instruction", "Go on:")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("sample", "--set", "top_q=1"), "top_p"),
        (("sample", "-p", "a", "--prompts", "p.txt"), "Give one of them"),
        (("sample", "--set", "min_length=200"), "min_length"),
        (("prefs", "-s", "letters.py:Words"), "no class"),
        (("prefs", "nothing.jsonl", "-s", "letters.py:Letters"), "cannot be read"),
        (("prefs", "--reference-server", "http://x/v1", "-s", "letters.py:Letters"), "No model of the server"),
        (("red-team", "-s", "letters.py:Letters"), "begins with prompts"),
    ],
)
def test_mistakes_exit_with_2(run, args, said):
    ran = run(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_an_attacker_that_is_none(run, model):
    ran = run("red-team", "-m", model, "-s", "letters.py:Letters", "-p", "a", "--attacker", "ftp://x")
    assert ran.code == 2
    assert "ftp://x" in ran.err


@pytest.mark.parametrize("name", ["sample", "prefs", "red-team"])
def test_help_has_examples(run, name):
    ran = run(name, "--help")
    assert ran.code == 0
    assert f"obverse {name}" in ran.out
    assert "--json" in ran.out


def test_importing_the_commands_loads_no_torch():
    code = (
        "import sys\nfrom obverse.cli import sample, prefs, prefs_tables, red_team\n"
        "print([n for n in ('torch', 'transformers', 'numpy', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
