"""``obverse train`` from flags to a folder."""

import json
import subprocess
import sys

import pytest
import typer
import yaml

from command_line import calling
from training_runs import tiny_task, write_corpus


@pytest.fixture
def train(monkeypatch, capsys, tmp_path, cache):
    from obverse.cli.train import EPILOG, train

    app = typer.Typer(rich_markup_mode="markdown")
    app.command("train", epilog=EPILOG)(train)
    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tiny_task(write_corpus(tmp_path / "c.jsonl"))))
    return calling(app, capsys)


def test_trains_and_says_what_it_does(train, tmp_path):
    ran = train("--task", "mine.yaml", "--method", "conditional", "-O", "training.max_steps=2")
    assert ran.code == 0, ran.err
    words = " ".join(ran.out.split())
    for shown in ("llama (drawn anew)", "objective conditional", "threshold 0 ", "batch 4 rows", "steps 2", "loss"):
        assert shown in words, shown
    assert "obverse ask --model runs/train-mine-conditional" in words
    assert (tmp_path / "runs" / "train-mine-conditional" / "model.safetensors").is_file()
    assert "{'loss'" not in ran.out  # the library below prints nothing
    again = train("--task", "mine.yaml", "--method", "conditional", "-O", "training.max_steps=2")
    assert again.code == 2
    assert "holds a run already" in again.err


def test_json(train):
    ran = train("--task", "mine.yaml", "-O", "training.max_steps=1", "--json", "--out", "x")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["plan"]["objective"] == {"name": "mle"}
    assert found["folder"] == "x"


def test_show_as_json_and_the_flag_of_other_commands_for_a_setting(train):
    ran = train("--task", "pii", "--method", "rwr", "--show", "--json", "--set", "training.max_steps=7", "-O", "seed=3")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["training"]["max_steps"], found["seed"], found["objective"]["beta"]) == (7, 3, 10)


def test_show_prints_the_merged_settings_and_trains_nothing(train, tmp_path):
    ran = train("--task", "pii", "--method", "rwr", "--show", "-O", "training.max_steps=7", "--model", "smollm2-135m")
    assert ran.code == 0, ran.err
    found = yaml.safe_load(ran.out)
    assert found["objective"]["beta"] == 10
    assert found["training"]["max_steps"] == 7
    assert found["model"]["name"] == "smollm2-135m"
    assert found["model"]["architecture"] is None
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--task", "pij"), "pii"),
        (("--task", "pii", "--method", "conditionel"), "conditional"),
        (("--task", "pii", "-O", "training.lerning_rate=1"), "training.learning_rate"),
        (("--task", "pii", "-O", "training"), "key=value"),
        (("--task", "pii", "--resume", "--overwrite"), "both given"),
    ],
)
def test_a_mistake_is_one_message(train, args, message):
    ran = train(*args)
    assert ran.code == 2
    assert message in " ".join((ran.err + ran.out).split())
    assert "Traceback" not in ran.err


def test_an_interrupted_run_exits_with_130(train, monkeypatch):
    from obverse.training.callbacks import StopOnSignal

    begin = StopOnSignal.on_step_end

    def at_once(self, *args, **kwargs):
        self._ask()
        return begin(self, *args, **kwargs)

    monkeypatch.setattr(StopOnSignal, "on_step_end", at_once)
    ran = train("--task", "mine.yaml", "--out", "x")
    assert ran.code == 130
    assert "Go on with --resume" in " ".join(ran.err.split())


def test_help_is_quick():
    found = subprocess.run(
        [sys.executable, "-c", "import sys; import obverse.cli.train; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "False"
