"""``obverse bench`` as a user runs it, and kills it."""

import json
import os
import signal
import time

import pytest

from bench_facts import FACTS, QUICK
from command_line import process
from obverse.core import read_records


@pytest.fixture
def facts(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(FACTS))
    return path


def flags(*, method="rome"):
    settings = [text for text in QUICK if text.startswith(method)]
    return ["--methods", method, "--batch", 2, "--drift-tokens", 12, *(x for text in settings for x in ("--set", text))]


def test_a_benchmark_and_its_json(obverse, model, facts, tmp_path):
    ran = obverse("bench", "-d", facts, "-m", model, *flags(), "--out", tmp_path / "run", "--json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["plan"]["cases"] == 5
    rome = told["runs"]["rome"]
    assert rome["n"] == 5
    assert {"mean", "low", "high", "n"} == rome["metrics"]["efficacy_success"].keys()
    assert json.loads((tmp_path / "run" / "rome" / "summary.json").read_text())["n"] == 5


def test_a_dry_run_tells_the_plan(obverse, model, facts, tmp_path):
    ran = obverse("bench", "-d", facts, "-m", model, *flags(), "--out", tmp_path / "run", "--dry-run")
    assert ran.code == 0
    assert "5 cases" in ran.out
    assert "each fact on the fresh model" in ran.out
    assert "layers=[1]" in ran.out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--methods", "rome,mmit"], "Did you mean memit"),
        (["--shard", "2"], "not of the form i/n"),
        (["--shard", "3/3"], "shard"),
        (["--schedule", "serial"], "'single', 'batch' or 'sequential', but 'serial'"),
        (["--size", "5"], "size and step belong to"),
        (["--harness", "lambada"], "--schedule batch or sequential"),
    ],
)
def test_mistakes(obverse, model, facts, tmp_path, arguments, told):
    ran = obverse("bench", "-d", facts, "-m", model, "--out", tmp_path / "run", *arguments)
    assert ran.code == 2
    assert told in " ".join(ran.err.split())
    assert not (tmp_path / "run" / "rome").exists()


@pytest.mark.timeout(180)
def test_killed_at_any_moment_it_ends_with_the_same_table(obverse, model, facts, tmp_path, cache):
    command = ["bench", "-d", facts, "-m", model, *flags(), "--schedule", "single", "--json"]
    whole = obverse(*command, "--out", tmp_path / "whole")
    assert whole.code == 0
    environment = {**os.environ, "OBVERSE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    running = process([*command, "--out", tmp_path / "killed"], environment, tmp_path)
    records = tmp_path / "killed" / "rome" / "records.00000.jsonl"
    deadline = time.monotonic() + 120
    while running.poll() is None and time.monotonic() < deadline and not (records.is_file() and records.stat().st_size):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert running.returncode == -signal.SIGKILL
    before = len([*read_records(records.parent)])
    assert before < 5
    again = obverse(*command, "--out", tmp_path / "killed")
    assert again.code == 0

    def metrics(ran):
        return {label: run["metrics"] for label, run in json.loads(ran.out)["runs"].items()}

    assert metrics(again) == metrics(whole)
