"""A tiny model in place of a loaded one, and a file of facts."""

import json

import pytest

from bench_facts import FACTS
from obverse.recipes.bench import run as runner
from obverse.recipes.bench import worker


@pytest.fixture
def lm(tiny_lm, monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    model = tiny_lm("llama")
    monkeypatch.setattr(runner, "load_model", lambda _: model)
    monkeypatch.setattr(worker, "load_model", lambda _: model)
    return model


@pytest.fixture
def facts(tmp_path, lm):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(FACTS))
    return path
