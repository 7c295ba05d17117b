"""What every registered editor must do, tested over everything registered: a new one is tested before it has a test."""

import pytest
import torch

from families import tiny
from learned_editors import CASES
from obverse.core import Fact, UnknownName
from obverse.editing import Edit, editors
from obverse.editing.learned import LearnedEditor
from obverse.measuring import likelihoods
from obverse.model import tensor_hash

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the statistics of the tiny model are kept: counted by the first editor that needs them."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", editors.names())
def test_editor_contract(name, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(cache))
    lm = tiny("llama")
    editor_type = editors.load(name)
    before = {key: tensor_hash(value) for key, value in lm.model.state_dict().items()}
    edit = _ready(editor_type, lm).edit(lm, [FACT])

    assert {key: tensor_hash(value) for key, value in lm.model.state_dict().items()} == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())
    assert all(torch.isfinite(delta.dense()).all() for delta in edit.deltas.values())
    assert edit.facts == (FACT,)
    assert edit.method == name
    edit.save(tmp_path / "edit")
    loaded = Edit.load(tmp_path / "edit")
    with edit.applied(lm):
        (made,) = likelihoods(lm, [(FACT.text, FACT.target)])
    with loaded.applied(lm):
        (read,) = likelihoods(lm, [(FACT.text, FACT.target)])
    assert read.total == pytest.approx(made.total, abs=1e-5)
    assert loaded.config == edit.config


def _ready(editor_type, lm):
    """Return the editor with its defaults; one that is learned has taken a single step."""
    if not issubclass(editor_type, LearnedEditor):
        return editor_type(editor_type.config_type())
    editor = editor_type(editor_type.config_type(fit={"steps": 1, "accumulate": 1, "corpus": "facts", "texts": 4}))
    editor.fit(lm, CASES)
    return editor


def test_unknown_editor_names_the_near_ones():
    with pytest.raises(UnknownName, match="Did you mean rome"):
        editors.load("rom")
