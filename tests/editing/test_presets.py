"""Every shipped preset is parsed against the settings it configures, so that it can't rot."""

from importlib.resources import files

import pytest
import yaml

from families import tiny
from obverse.core import build
from obverse.editing import editors, preset
from obverse.editing.rome import RomeConfig

FILES = sorted(p.name for p in (files("obverse") / "configs" / "method").iterdir())


@pytest.mark.parametrize("name", FILES)
def test_every_entry_builds(name):
    method = name.removesuffix(".yaml")
    entries = yaml.safe_load((files("obverse") / "configs" / "method" / name).read_text("utf-8"))["models"]
    assert entries
    for entry in entries:
        config = build(editors.load(method).config_type, entry["settings"])
        assert all(0 <= layer < entry["layers"] for layer in config.layers)


def test_shapes_are_unique():
    entries = yaml.safe_load((files("obverse") / "configs" / "method" / "rome.yaml").read_text("utf-8"))["models"]
    shapes = [(e["family"], e["layers"], e["hidden"], e.get("inner")) for e in entries]
    assert len(set(shapes)) == len(shapes)


def test_published_numbers():
    entries = yaml.safe_load((files("obverse") / "configs" / "method" / "rome.yaml").read_text("utf-8"))["models"]
    layers = {entry["model"]: build(RomeConfig, entry["settings"]).layers for entry in entries}
    expected = {"gpt2-medium": (8,), "gpt2-large": (12,), "gpt2-xl": (17,), "gpt-j-6b": (5,), "gpt-neox-20b": (15,)}
    assert expected.items() <= layers.items()


def test_unknown_shape_gets_the_defaults():
    assert preset("rome", tiny("llama")) == {}
    assert preset("no-such-method", tiny("llama")) == {}
