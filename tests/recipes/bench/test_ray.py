"""A benchmark spread over two Ray workers, one of which is killed half-way, gives the results of one process."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench_facts import FACTS, request
from families import tiny
from obverse.core import Run, read_records
from obverse.recipes.bench import run_bench
from obverse.recipes.models import ModelChoice


def _workers():
    """Ids of the processes in which Ray's workers live."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::_Worker"):
                yield int(path.parent.name)
        except OSError:  # it ended meanwhile
            continue


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.timeout(240, method="thread")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_two_workers_one_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    lm = tiny("llama")
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(FACTS))
    alone = request(file, tmp_path / "alone", model=ModelChoice(str(tmp_path / "model")), batch=1)
    run_bench(alone)
    append, killed = Run.append, []

    def killing(self, record):
        append(self, record)
        if not killed and sum(len(run) for run in told(tmp_path / "spread").values()) == 3:
            (victim, *_) = _workers()
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    monkeypatch.setattr(Run, "append", killing)
    run_bench(replace(alone, out=tmp_path / "spread", ray="local", workers=2))
    assert killed
    assert told(tmp_path / "spread") == told(tmp_path / "alone")


def told(folder):
    """All records without the times."""
    return {
        path.parent.name: sorted(({**r, "seconds": None} for r in read_records(path.parent)), key=lambda r: r["id"])
        for path in folder.glob("*/run.json")
    }
