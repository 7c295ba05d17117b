"""A tiny model in a folder, and the command line run in this process."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import obverse as obverse_package
from command_line import SETTINGS, Ran, calling


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from families import tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    lm = tiny("llama")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def obverse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> Callable[..., Ran]:
    """Run a command in a folder of its own."""
    from obverse.cli.main import app

    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    return calling(app, capsys)


@pytest.fixture
def reversal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    """Run ``obverse reversal`` in a folder of its own."""
    from obverse.cli.reversal import reversal_app

    monkeypatch.chdir(tmp_path)
    return calling(reversal_app, capsys)


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    """What a process of its own needs."""
    source = str(Path(obverse_package.__file__).parents[1])
    return {**os.environ, "OBVERSE_CACHE": str(cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": source}


@pytest.fixture(scope="session")
def edits(model: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two saved edits of the tiny model, of different subjects and layers."""
    from obverse.core import Case, Fact
    from obverse.recipes.edit import EditRequest, run_edit
    from obverse.recipes.models import ModelChoice

    folder = tmp_path_factory.mktemp("edits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBVERSE_CACHE", str(cache))
        for name, fact, layer in (
            ("needle", Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle"), 1),
            ("ben", Fact("Big Ben", "{} is in", "Rome", "London"), 0),
        ):
            settings = {**SETTINGS, "layers": [layer]}
            run_edit(EditRequest([Case.of(fact)], ModelChoice(str(model)), settings=settings, out=folder / name))
    return folder / "needle", folder / "ben"
