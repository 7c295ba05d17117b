"""Which models are trained to reproduce the reversal curse: the preset, and the trials that each claim needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from obverse.core import Config, ConfigError, UnknownName, build
from obverse.recipes.repro import read_preset

CLAIMS = ("claim1", "claim2")
"""The curse under next-token prediction; objectives against it."""

MLE, UNTRAINED = "mle", "untrained"
"""Next-token prediction, and the same model before any step."""

Way = Literal["left-to-right", "blank", "fill"]
"""How a model is asked: by a plain prompt, by a blank at its end, or by masked tokens whose number is told."""

LEFT = "left-to-right"


class Longer(Config):
    """The part of claim 1 with more training."""

    times: int = Field(10, ge=2)
    """How many times the steps."""

    seeds: int = Field(3, ge=1)
    """How often."""


class Arm(Config):
    """A way to train."""

    objective: dict[str, Any]
    """Its name and settings, as in ``obverse train``."""

    queries: tuple[Way, ...] = Field((LEFT,), min_length=1)
    """How its models are asked; the first is the one that is judged."""

    times: int = Field(1, ge=1)
    """How many times the steps of the others."""

    model: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of the architecture that differ from those of the others."""


class Mitigations(Config):
    """Claim 2."""

    arms: dict[str, Arm]
    """Name → what is tried against the curse."""

    steps: int = Field(1000, ge=1)
    """Steps of each, next-token prediction included."""

    seeds: int = Field(3, ge=1)
    """How often each."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Mitigations:
        if taken := sorted({MLE, UNTRAINED} & self.arms.keys()):
            raise ValueError(f"{', '.join(taken)} is there anyway; give the arm another name")
        return self


class ReversalScale(Config):
    """A scale at which the claims are tried."""

    entities: int = Field(16, ge=2)
    """People of each group; every seed has its own."""

    model: dict[str, Any]
    """Settings of the Llama architecture."""

    training: dict[str, Any]
    """Optimizer and batch, as in ``obverse train``; the number of steps stands apart."""

    steps: int = Field(300, ge=1)
    """Steps of claim 1."""

    seeds: int = Field(5, ge=1)
    """How often: people, wordings, weights and order of rows differ."""

    longer: Longer | None = None
    """Claim 1 with more training; null leaves it out."""

    mitigations: Mitigations | None = None
    """Claim 2; null leaves it out."""

    @model_validator(mode="after")
    def _steps_apart(self) -> ReversalScale:
        if given := sorted({"max_steps", "num_train_epochs", "num_tokens"} & self.training.keys()):
            raise ValueError(f"training: {', '.join(given)} is set by steps, longer and mitigations")
        return self

    def arm(self, name: str) -> Arm:
        """Return an arm by name; next-token prediction and the untrained model are always there."""
        arms = self.mitigations.arms if self.mitigations else {}
        if name in arms:
            return arms[name]
        return Arm.model_validate({"objective": {"name": "mle"}})


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to train.

    Attributes:
        arm: Name of the way to train.
        seed: Seed of people, wordings, weights and order of rows.
        steps: Optimizer steps; 0 is the model as it is drawn.
    """

    arm: str
    seed: int
    steps: int

    @property
    def id(self) -> str:
        """Its name, and that of its folder."""
        return f"{self.arm}-steps{self.steps}-seed{self.seed}"


def load_scale(preset: str, seeds: int | None = None, overrides: Sequence[str] = ()) -> ReversalScale:
    """Return a preset's settings.

    Args:
        preset: Its name.
        seeds: How often each model is trained, in place of the preset's numbers.
        overrides: Texts of the form ``a.b=value``.

    Raises:
        UnknownName: If there is no such preset.
        ConfigError: With every mistake in the overrides.
    """
    read = read_preset("reversal", preset, seeds)
    if seeds is None:
        return build(ReversalScale, read, overrides=overrides)
    each = {name: {"seeds": seeds} for name in ("longer", "mitigations") if read.get(name)}
    return build(ReversalScale, read, {"seeds": seeds, **each}, overrides=overrides)


def check_claims(only: Sequence[str], scale: ReversalScale) -> tuple[str, ...]:
    """Return the claims to try, in order: those asked for, or all that the settings have.

    Raises:
        UnknownName: If there is no such claim.
        ConfigError: If the preset leaves it out.
    """
    for name in only:
        if name not in CLAIMS:
            raise UnknownName.among("claim", name, CLAIMS)
        if name == "claim2" and scale.mitigations is None:
            raise ConfigError("The settings leave claim2 out.", "Take --preset demo.")
    there = CLAIMS if scale.mitigations else CLAIMS[:1]
    return tuple(name for name in there if not only or name in only)


def trials(scale: ReversalScale, claims: Sequence[str]) -> list[Trial]:
    """Return the models that claims need, each once, those that take longest first."""
    found = dict.fromkeys(_needed(scale, claims))
    return sorted(found, key=lambda trial: -trial.steps)


def _needed(scale: ReversalScale, claims: Sequence[str]) -> Iterator[Trial]:
    longer, more = scale.longer, scale.mitigations
    if "claim1" in claims:
        for seed in range(scale.seeds):
            yield from (Trial(UNTRAINED, seed, 0), Trial(MLE, seed, scale.steps))
        if longer:
            yield from (Trial(MLE, seed, scale.steps * longer.times) for seed in range(longer.seeds))
    if "claim2" in claims and more:
        for seed in range(more.seeds):
            yield from (Trial(UNTRAINED, seed, 0), Trial(MLE, seed, more.steps))
            yield from (Trial(name, seed, more.steps * arm.times) for name, arm in more.arms.items())
