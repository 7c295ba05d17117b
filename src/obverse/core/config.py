"""Settings: frozen Pydantic models, made from presets and overrides, with every mistake shown at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from obverse.core.errors import ConfigError

ConfigType = TypeVar("ConfigType", bound="Config")


class Config(BaseModel):
    """Base of every settings type: frozen, unknown keys refused, the docstring under a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is read as YAML, so ``0.5``, ``true``, ``[3, 4]`` and ``null`` work.

    Raises:
        ConfigError: If there is no ``=``, no key, or the value is not YAML.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"{text!r} is not of the form key=value.", "Write for example --set learning_rate=0.1.")
    try:
        return key.strip(), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ConfigError(f"The value of {text!r} cannot be read.", "Quote it, or write it as YAML.") from error


def build(config_type: type[ConfigType], *layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> ConfigType:
    """Merge settings, later ones winning, into a validated config.

    Args:
        config_type: The settings type to build.
        layers: Mappings of settings, e.g. a preset, then values from flags.
        overrides: Texts of the form ``key=value`` (``a.b=value`` for a setting inside another), applied last.

    Raises:
        ConfigError: With every mistake in one message.
    """
    try:
        return config_type.model_validate(merged(*layers, overrides=overrides))
    except ValidationError as error:
        raise ConfigError(*_explain(config_type, error)) from error


def merged(*layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Merge settings: mappings are joined at every depth, later ones winning; lists and values are replaced whole.

    Args:
        layers: Mappings of settings; left as they are.
        overrides: Texts of the form ``a.b=value``, applied last.

    Raises:
        ConfigError: If an override is not of that form.
    """
    found: dict[str, Any] = {}
    for layer in layers:
        _merge(found, layer)
    for text in overrides:
        key, value = parse_override(text)
        for part in reversed(key.split(".")[1:]):
            value = {part: value}
        _merge(found, {key.split(".")[0]: value})
    return found


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            old = into.get(key)
            into[key] = dict(cast("Mapping[str, Any]", old)) if isinstance(old, Mapping) else {}
            _merge(into[key], cast("Mapping[str, Any]", value))
        else:
            into[key] = value


def _explain(config_type: type[Config], error: ValidationError) -> tuple[str, str]:
    everywhere = _paths(config_type)
    lines: list[str] = []
    names = list(config_type.model_fields)
    for mistake in error.errors():
        place = [str(part) for part in mistake["loc"]]
        key = ".".join(place) or "settings"
        if mistake["type"] == "extra_forbidden":
            near = _near(place, everywhere)
            lines.append(f"{key}: no such setting" + (f", did you mean {' or '.join(near)}?" if near else "."))
        else:
            lines.append(f"{key}: {mistake['msg']}, but {mistake.get('input')!r} was given.")
    title = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''} in the settings:"
    return "\n  ".join([title, *lines]), f"Settings: {', '.join(names)}."


def _near(place: Sequence[str], everywhere: Sequence[str]) -> list[str]:
    """Return what a name may stand for: a near name beside it, else one of that name or a near one anywhere."""
    parts = [part for part in place if not part.isdigit()]  # places in a list
    parent = ".".join(parts[:-1])
    beside = {path.rpartition(".")[2]: path for path in everywhere if path.rpartition(".")[0] == parent}
    if near := get_close_matches(parts[-1], beside, n=2, cutoff=0.5):
        return [beside[name] for name in near]
    last = [path.rpartition(".")[2] for path in everywhere]
    near = get_close_matches(parts[-1], set(last), n=2, cutoff=0.8)
    return [path for name in near for path, end in zip(everywhere, last, strict=True) if end == name][:2]


def _paths(config_type: type[BaseModel]) -> list[str]:
    """Return every setting, those inside others as ``a.b``."""
    found: list[str] = []
    for name, field in config_type.model_fields.items():
        inner = [path for kind in _configs_in(field.annotation) for path in _paths(kind)]
        found += [name, *(f"{name}.{path}" for path in inner)]
    return found


def _configs_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings types that a type is, holds or may be, e.g. of ``list[Scenario] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _configs_in(part)]
