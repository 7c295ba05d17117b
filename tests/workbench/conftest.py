"""A desk over a tiny model in a folder, without any page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from obverse.model.language_model import LanguageModel
from obverse.recipes.models import ModelChoice, load_model
from obverse.workbench.desk import Desk


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from families import tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    lm = tiny("llama")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def loaded(model: Path) -> LanguageModel:
    return load_model(ModelChoice(str(model)))


@pytest.fixture
def desk(
    model: Path, loaded: LanguageModel, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    monkeypatch.setattr("obverse.workbench.desk.load_model", lambda _: loaded)  # no test may leave a trace in it
    made = Desk([ModelChoice(str(model))], tmp_path / "runs")
    yield made
    made.close()
