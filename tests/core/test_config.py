from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from obverse.core import Config, ConfigError, build, parse_override


class Settings(Config):
    steps: int = Field(20, ge=1)
    """Steps to take."""

    learning_rate: float = 0.5
    """Size of a step."""

    kind: Literal["mlp", "attn"] = "mlp"
    """What is changed."""

    layers: list[int] | None = None
    """Layers to change."""


def test_later_settings_win():
    config = build(Settings, {"steps": 1, "kind": "attn"}, {"steps": 2}, overrides=["steps=3", "steps=4"])
    assert config == Settings(steps=4, kind="attn")


@given(st.integers(min_value=1), st.floats(allow_nan=False, allow_infinity=False))
def test_overrides_read_what_python_writes(steps, rate):
    config = build(Settings, overrides=[f"steps={steps}", f"learning_rate={rate}", "layers=[3, 4]"])
    assert (config.steps, config.learning_rate, config.layers) == (steps, rate, [3, 4])


@pytest.mark.parametrize(
    ("text", "value"), [("a=0.5", 0.5), ("a=true", True), ("a=null", None), ("a=x=y", "x=y"), ("a=", None)]
)
def test_values_are_yaml(text, value):
    assert parse_override(text) == ("a", value)


@pytest.mark.parametrize("text", ["steps", "=3", " =3"])
def test_an_override_needs_a_key_and_a_sign(text):
    with pytest.raises(ConfigError, match="not of the form key=value") as caught:
        parse_override(text)
    assert "--set" in caught.value.hint


@pytest.mark.parametrize("text", ["a=[1, 2", "a=2024-99-99", "a=!!python/object:os.system x"])
def test_an_unreadable_value_is_refused(text):
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_override(text)


def test_every_mistake_is_in_one_message():
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"step": 3, "kind": "mpl"}, overrides=["learning_rate=fast", "layers=[a]"])
    message = caught.value.message
    assert message.startswith("4 mistakes in the settings:")
    assert "step: no such setting, did you mean steps?" in message
    assert "kind: Input should be 'mlp' or 'attn', but 'mpl' was given." in message
    assert "'fast' was given" in message
    assert "layers.0: " in message
    assert "Settings: steps, learning_rate, kind, layers." in caught.value.hint


def test_one_mistake_is_not_plural():
    with pytest.raises(ConfigError, match="1 mistake in the settings"):
        build(Settings, {"steps": 0})


def test_a_config_is_frozen_and_described():
    with pytest.raises(ValidationError):
        Settings().steps = 3
    assert Settings.model_fields["steps"].description == "Steps to take."
