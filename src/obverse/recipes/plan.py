"""What an edit would do, before it is done: method, resolved settings, layers, contexts, statistics, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from obverse.core import Config, Fact, ObverseError, build, parse_override
from obverse.editing import Cost, editors, estimate, preset
from obverse.editing.contexts import ContextConfig, contexts
from obverse.editing.moments import MomentConfig, second_moment, uncounted
from obverse.editing.profile import asks_auto, find_profile, without_auto
from obverse.editing.values import ValueConfig
from obverse.measuring import likelihoods

if TYPE_CHECKING:
    from obverse.editing import Edit
    from obverse.model.language_model import LanguageModel


PRESET = "preset for this model"


class Editor(Protocol):
    """What every method of `obverse.editing` offers."""

    config: Config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited."""
        ...

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit; the model is untouched."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done.

    Attributes:
        model: Name of the model.
        fingerprint: Its identity, in short.
        method: Name of the editor.
        settings: Its settings, resolved from preset, flags and overrides.
        from_preset: Names of the settings that come from the preset for this model.
        layers: Layers that will be edited, from 0.
        modules: Names of the matrices there.
        contexts: Number of contexts each fact is put in, the bare prompt included.
        moments: ``kept``, ``to be counted`` or ``not used``: the second moments of keys.
        cost: Estimate of time and memory; None if the method gives no numbers to estimate from.
        facts: Number of facts.
        layer_from: Where the layers come from, in words; empty if not said.
    """

    model: str
    fingerprint: str
    method: str
    settings: Mapping[str, Any]
    from_preset: tuple[str, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    contexts: int
    moments: str
    cost: Cost | None
    facts: int
    layer_from: str = ""


def make_editor(
    lm: LanguageModel, method: str, settings: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()
) -> Editor:
    """Build a method with its preset for the model, then the settings given, then overrides.

    ``layers: auto`` stands for the layer measured by ``obverse sweep-layers``.

    Raises:
        UnknownName: If there is no such method.
        ConfigError: With every mistake in the settings, or if the model has no measured layer.
    """
    editor = editors.load(method)
    settings = settings or {}
    measured = {"layers": [find_profile(lm, method).best]} if asks_auto(settings, overrides) else {}
    settings, overrides = without_auto(settings, overrides)
    config = build(editor.config_type, preset(method, lm), settings, measured, overrides=overrides)
    return editor(config)


def check_settings(method: str, settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Check method and settings before a model is loaded; raises as `make_editor` does."""
    settings, overrides = without_auto(settings, overrides)
    build(editors.load(method).config_type, settings, overrides=overrides)


def make_plan(lm: LanguageModel, editor: Editor, method: str, facts: Sequence[Fact], layer_from: str = "") -> Plan:
    """Say what an editor would do, from shapes alone.

    Args:
        lm: The model.
        editor: The method with its settings.
        method: Its name.
        facts: The facts.
        layer_from: Where its layers come from, in words.

    Raises:
        UnsupportedModel: If the model cannot be edited there.
    """
    layers = editor.layers(lm)
    modules = getattr(editor, "modules", None)  # of methods that change others than the MLPs' output projections
    sampled, counted = _parts(editor.config)
    n_contexts = _count(sampled)
    waiting = uncounted(lm, layers, counted) if counted else []
    # The estimate is that of optimizing values.
    steps = editor.config.steps if isinstance(editor.config, ValueConfig) else None
    tokens = counted.tokens if counted and waiting else 0
    return Plan(
        model=lm.name,
        fingerprint=str(lm.fingerprint),
        method=method,
        settings=editor.config.model_dump(mode="json"),
        from_preset=tuple(name for name in preset(method, lm) if name != "layers" or layer_from in ("", PRESET)),
        layers=layers,
        modules=modules(lm) if modules else tuple(lm.architecture.mlp_out(layer) for layer in layers),
        contexts=n_contexts,
        moments="not used" if counted is None else "to be counted" if waiting else "kept",
        cost=estimate(lm, facts, layers, n_contexts, steps, tokens) if steps is not None else None,
        facts=len(facts),
        layer_from=layer_from,
    )


def plan_edit(
    lm: LanguageModel, method: str, facts: Sequence[Fact], settings: Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Editor, Plan]:
    """Build a method and say what it would do, and where its layers come from; raises as its two parts do."""
    editor = make_editor(lm, method, settings, overrides)
    return editor, make_plan(lm, editor, method, facts, _layer_source(lm, editor, method, settings, overrides))


def prepare(lm: LanguageModel, editor: Editor) -> None:
    """Sample contexts and count second moments, if the method wants them and they are not kept yet.

    Must come before earlier edits are applied: both belong to the base model and are kept under its name.
    """
    sampled, counted = _parts(editor.config)
    if sampled is not None:
        contexts(lm, sampled)
    if counted is not None:
        second_moment(lm, editor.layers(lm), counted)


def refuse_known(lm: LanguageModel, facts: Sequence[Fact]) -> None:
    """Refuse targets that the model answers by itself already.

    Raises:
        ObverseError: Naming the facts; asks for ``--force``.
    """
    found = likelihoods(lm, [(fact.text, fact.target) for fact in facts])
    known = [fact for fact, answer in zip(facts, found, strict=True) if all(answer.correct)]
    if known:
        listed = "; ".join(f"{fact.text!r} → {fact.target!r}" for fact in known[:3])
        more = f" and {len(known) - 3} more" if len(known) > 3 else ""
        raise ObverseError(
            f"The target is the model's answer already: {listed}{more}.",
            "Choose another target, or pass --force to make the edit all the same.",
        )


def _layer_source(
    lm: LanguageModel, editor: Editor, method: str, settings: Mapping[str, Any], overrides: Sequence[str]
) -> str:
    """Say in words where an editor's layers come from."""
    if asks_auto(settings, overrides):
        profile = find_profile(lm, method)
        others = profile.differences(editor.config.model_dump(mode="json"))
        return f"{profile}{', with other ' + ', '.join(others) if others else ''}"
    if "layers" in settings or any(parse_override(text)[0] == "layers" for text in overrides):
        return "as given"
    return PRESET if "layers" in preset(method, lm) else "the method's rule"


def _parts(config: Config) -> tuple[ContextConfig | None, MomentConfig | None]:
    sampled, counted = getattr(config, "contexts", None), getattr(config, "moment", None)
    return (
        sampled if isinstance(sampled, ContextConfig) else None,
        counted if isinstance(counted, MomentConfig) else None,
    )


def _count(config: ContextConfig | None) -> int:
    if config is None:
        return 1
    return 1 + (len(config.texts) if config.texts is not None else sum(count for _, count in config.lengths))
