"""Which models are trained to reproduce PHF, and on what: the preset, and the trials that each claim needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from obverse.core import Config, ConfigError, UnknownName, build
from obverse.data.synthetic_pii import PIICorpus
from obverse.recipes.repro import read_preset

CLAIMS = ("claim1", "claim2", "claim4")
"""Methods compared; a noisy scorer; the scale of rewards. Claim 3 (PEP 8) is ``obverse repro phf-pep8``."""

REFERENCE = "reference"
"""The arm that is trained on clean text alone; the divergence of the others from it is measured."""


class Scarce(Config):
    """The part of claim 1 where clean text is scarce."""

    dirty: float = Field(0.95, ge=0, le=1)
    """Share of documents that may hold personal information."""

    arms: tuple[str, ...]
    """Which methods are trained there."""

    seeds: int = Field(3, ge=1)
    """How often each."""


class Noise(Config):
    """Claim 2."""

    rates: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Shares of segments whose label is flipped; 0 is claim 1's."""

    arms: tuple[str, ...]
    """Which methods are trained there."""

    seeds: int = Field(3, ge=1)
    """How often each."""


class Scale(Config):
    """Claim 4."""

    arms: tuple[str, ...]
    """Methods whose rewards differ in scale."""

    seeds: int = Field(3, ge=1)
    """How often each."""


class Reference(Config):
    """The model whose divergence from each other one is measured."""

    documents: int = Field(3000, ge=1)
    """Clean documents it is trained on, others than those of any trial."""

    model: dict[str, Any] = Field(default_factory=dict)
    """What differs from the other models."""

    training: dict[str, Any] = Field(default_factory=dict)
    """What differs from the other models' training."""

    samples: int = Field(256, ge=2)
    """Texts drawn from it."""


class PHFSettings(Config):
    """A scale at which the claims are tried."""

    corpus: PIICorpus = PIICorpus()
    """The corpus; each seed has its own."""

    held_out: int = Field(200, ge=1)
    """Clean documents on which the likelihood of clean text is measured; the same for all models."""

    vocabulary: int = Field(512, ge=257)
    """Tokens of the byte-level BPE, the same for all models."""

    length: int = Field(64, ge=8)
    """Tokens of a row."""

    model: dict[str, Any]
    """Settings of the GPT-2 architecture."""

    training: dict[str, Any]
    """Budget and optimizer, as in ``obverse train``."""

    seeds: int = Field(5, ge=1)
    """How often each method of claim 1 is trained: corpus, weights, order and samples differ."""

    samples: int = Field(256, ge=2)
    """Texts drawn from each model, at temperature 1."""

    tokens: int = Field(60, ge=2)
    """Their length at most."""

    arms: dict[str, dict[str, Any]]
    """Name → objective with its settings, as in ``obverse train``."""

    methods: tuple[str, ...]
    """The arms of claim 1; ``mle`` and ``conditional`` must be among them."""

    scarce: Scarce | None = None
    """Claim 1 with scarce clean text; null leaves it out."""

    noise: Noise | None = None
    """Claim 2; null leaves it out."""

    scale: Scale | None = None
    """Claim 4; null leaves it out."""

    reference: Reference | None = None
    """Null measures no divergence."""

    margin: float = Field(0.02, gt=0)
    """Nats a token by which a model may be worse on clean text and still count as no worse (1 % of the loss here)."""

    @model_validator(mode="after")
    def _known_arms(self) -> PHFSettings:
        parts = (self.scarce, self.noise, self.scale)
        named = {*self.methods, *(arm for part in parts if part for arm in part.arms)}
        if missing := sorted(named - self.arms.keys()):
            raise ValueError(f"arms without settings: {', '.join(missing)}")
        if missing := sorted({"mle", "conditional"} - set(self.methods)):
            raise ValueError(f"methods lacks what the others are compared with: {', '.join(missing)}")
        return self


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to train.

    Attributes:
        arm: Name of the method with its settings.
        seed: Seed of corpus, weights, order and samples.
        dirty: Share of documents that may hold personal information.
        flips: Share of segments whose label is flipped.
    """

    arm: str
    seed: int
    dirty: float
    flips: float = 0.0

    @property
    def id(self) -> str:
        """Its name, and that of its folder."""
        return f"{self.arm}-dirty{self.dirty:g}-flips{self.flips:g}-seed{self.seed}"


def load_settings(preset: str, seeds: int | None = None, overrides: Sequence[str] = ()) -> PHFSettings:
    """Return a preset's settings.

    Args:
        preset: Its name.
        seeds: How often each model is trained at most, in place of the preset's numbers.
        overrides: Texts of the form ``a.b=value``.

    Raises:
        UnknownName: If there is no such preset.
        ConfigError: With every mistake in the overrides.
    """
    read = read_preset("phf", preset, seeds)
    if seeds is None:
        return build(PHFSettings, read, overrides=overrides)
    each = {name: {"seeds": seeds} for name in ("scarce", "noise", "scale") if read.get(name)}
    return build(PHFSettings, read, {"seeds": seeds, **each}, overrides=overrides)


def check_claims(only: Sequence[str], settings: PHFSettings) -> tuple[str, ...]:
    """Return the claims to try, in order: those asked for, or all that the settings have.

    Raises:
        UnknownName: If there is no such claim.
        ConfigError: If the preset leaves it out.
    """
    there = {"claim1": True, "claim2": settings.noise is not None, "claim4": settings.scale is not None}
    for name in only:
        if name not in CLAIMS:
            raise UnknownName.among("claim", name, CLAIMS)
        if not there[name]:
            raise ConfigError(f"The preset leaves {name} out.", "Take --preset demo.")
    return tuple(name for name in CLAIMS if (name in only if only else there[name]))


def trials(settings: PHFSettings, claims: Sequence[str]) -> list[Trial]:
    """Return the models that claims need, each once, the reference first if there is one."""
    found = [*([Trial(REFERENCE, 0, 0.0)] if settings.reference else []), *_needed(settings, claims)]
    return list(dict.fromkeys(found))


def _needed(settings: PHFSettings, claims: Sequence[str]) -> Iterator[Trial]:
    dirty, scarce, noise, scale = settings.corpus.dirty, settings.scarce, settings.noise, settings.scale
    if "claim1" in claims:
        yield from (Trial(arm, seed, dirty) for seed in range(settings.seeds) for arm in settings.methods)
        if scarce:
            yield from (Trial(arm, seed, scarce.dirty) for seed in range(scarce.seeds) for arm in scarce.arms)
    if "claim2" in claims and noise:
        for seed in range(noise.seeds):
            yield from (Trial(arm, seed, dirty) for arm in ("mle", *noise.arms))
            yield from (Trial(arm, seed, dirty, rate) for rate in noise.rates for arm in noise.arms)
    if "claim4" in claims and scale:
        yield from (Trial(arm, seed, dirty) for seed in range(scale.seeds) for arm in ("mle", *scale.arms))
