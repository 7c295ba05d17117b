"""Several objectives in one run: each batch is trained by one of them, drawn by weight.

BICO as published is ``objectives: [{name: bico}, {name: mle}]``: one fair coin a batch.

The sampler draws a component for a batch by `Mixture.shares`, calls ``corrupt_for(component, example, draws)`` for each
row and puts the number into ``batch["component"]``, by which `Mixture.output` and `Mixture.loss` go. A component that
changes documents has rows of its own, from documents with its number in ``meta["component"]``; the others share those
without a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from pydantic import ConfigDict, Field, model_validator
from torch import nn

from obverse.core import Config, ConfigError, ObverseError, build
from obverse.data.scored import ScoredText
from obverse.training import objectives
from obverse.training.example import Batch, Example
from obverse.training.from_corpus import FromCorpus, is_open, resolve
from obverse.training.objective import Loss, Objective

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class Component(Config):
    """One objective of a mixture; its settings stand beside its name."""

    model_config = ConfigDict(extra="allow")

    name: str
    """An objective."""
    weight: float = Field(default=1, gt=0)
    """How often it is drawn, relative to the others."""

    @property
    def kind(self) -> type[Objective]:
        """Class of the objective; an unknown name is an `UnknownName`."""
        return objectives.load(self.name)

    @property
    def settings(self) -> Config:
        """Settings of the objective; wrong ones are a `ConfigError`."""
        return build(self.kind.config_type, cast("Mapping[str, Any]", self.model_extra))


class MixtureConfig(FromCorpus):
    """Which objectives, and how often each."""

    objectives: tuple[Component, ...] = (Component(name="bico"), Component(name="mle"))
    """Each with ``name``, ``weight`` and settings of its own. Default: bidirectional and next-token batches, one fair
    coin a batch (arXiv 2311.07468)."""

    @model_validator(mode="after")
    def _sound(self) -> MixtureConfig:
        if not self.objectives:
            raise ConfigError("A mixture of no objectives was given.", "Name at least one.")
        for i, component in enumerate(self.objectives):
            if component.name == "mixture":
                raise ConfigError("A mixture inside a mixture was given.", "List its objectives in the outer one.")
            try:
                component.kind(component.settings)
            except ObverseError as error:
                raise type(error)(f"objectives.{i} ({component.name}): {error.message}", error.hint) from error
        return self

    @property
    def is_open(self) -> bool:
        """Whether a setting of some component is still to be measured on the corpus."""
        return any(is_open(component.settings) for component in self.objectives)

    def resolved(self, documents: Sequence[ScoredText]) -> Self:
        """Return the settings with numbers measured on a sample of the corpus in all places left open."""
        measured = [
            Component(name=c.name, weight=c.weight, **resolve(c.settings, documents).model_dump())
            for c in self.objectives
        ]
        return self.model_copy(update={"objectives": tuple(measured)})


class Mixture(Objective):
    """One of several objectives a batch.

    Attributes:
        names: The components' names; numbered if one occurs twice.
        shares: The probability of each.
    """

    config_type: ClassVar[type[Config]] = MixtureConfig

    def __init__(self, config: MixtureConfig) -> None:
        super().__init__(config)
        self.components = nn.ModuleList(component.kind(component.settings) for component in config.objectives)
        self.needs_scores = any(part.needs_scores for part in self._parts)  # pyright: ignore[reportAttributeAccessIssue]
        given = [component.name for component in config.objectives]
        self.names = tuple(n if given.count(n) == 1 else f"{n}-{i}" for i, n in enumerate(given))
        total = sum(component.weight for component in config.objectives)
        self.shares = tuple(component.weight / total for component in config.objectives)

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Prepare the model for every component, in order."""
        for part in self._parts:
            part.setup(lm, generator)

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield a document as each component wants it: every one of them sees the whole corpus.

        What a component makes of it bears its number in ``meta["component"]``; what those share that change nothing
        comes once, without a number.
        """
        changing = [_overrides(part, "documents") for part in self._parts]
        if not all(changing):
            yield document
        for number, part in enumerate(self._parts):
            if changing[number]:
                for text in part.documents(document, draws):
                    yield replace(text, meta={**text.meta, "component": number})

    def corrupt_for(self, component: int, example: Example, draws: np.random.Generator) -> Example:
        """Return a row as the model is to see it in a batch of that component."""
        return self._parts[component].corrupt(example, draws)

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Return a row for a mixture of one.

        Raises:
            ConfigError: If there are several: the rows of a batch must be corrupted alike.
        """
        if len(self._parts) > 1:
            raise ConfigError(
                "A row of a mixture was asked for without saying of which objective.",
                "Draw a component for the whole batch, and call corrupt_for().",
            )
        return self.corrupt_for(0, example, draws)

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model as the batch's component does."""
        return self._parts[_number(batch)].output(model, batch)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of the batch's component; its mean and its logs go by ``name/...``."""
        number = _number(batch)
        loss = self._parts[number].loss(output, batch)
        logs = {"loss": loss.mean.detach(), **loss.logs}
        return Loss(loss.total, loss.count, {f"{self.names[number]}/{key}": value for key, value in logs.items()})

    def save(self, folder: Path) -> None:
        """Write what each component has learnt into a folder of its own, if it has learnt anything."""
        for name, part in zip(self.names, self._parts, strict=True):
            if _overrides(part, "save"):
                (folder / name).mkdir(exist_ok=True)
                part.save(folder / name)

    def load(self, folder: Path) -> None:
        """Take what `save` wrote."""
        for name, part in zip(self.names, self._parts, strict=True):
            if _overrides(part, "load"):
                part.load(folder / name)

    @property
    def _parts(self) -> list[Objective]:
        return cast("list[Objective]", list(self.components))


def _number(batch: Batch) -> int:
    return int(batch["component"][0]) if "component" in batch else 0


def _overrides(part: Objective, hook: str) -> bool:
    return getattr(type(part), hook) is not getattr(Objective, hook)
