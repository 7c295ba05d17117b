"""What a learned editor's network is, and the loss it is fitted by: what MEND and KE share.

    L = edit_weight · -log p(target | question, W + ΔW)  +  locality_weight · KL(p(· | text, W) || p(· | text, W + ΔW))

ΔW comes from the gradient of the fact's own prompt; the question is that prompt or one of its paraphrases; the text has
nothing to do with the fact. How it is fitted: `obverse.editing._hypernetwork_fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from obverse.core import Case, Config
from obverse.editing._gradients import FactGradient, answers, ask, divergence, gradients, nll
from obverse.editing.edit import LowRank, adder
from obverse.model.hooks import intervene

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class LearningConfig(Config):
    """How a learned editor is fitted. Weights of the loss, accumulation and clipping are the released programs'."""

    steps: int = Field(default=2000, ge=0)
    """Facts taken at most, one a step, in epochs of random order (released: up to 1,000,000)."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Adam's learning rate of the network."""
    accumulate: int = Field(default=10, ge=1)
    """Steps whose gradients make one of Adam's (released: 10)."""
    clip: float = Field(default=100.0, gt=0)
    """Largest norm of a gradient (released: 100)."""
    edit_weight: float = Field(default=0.1, ge=0)
    """Weight of the target's negative log-probability, per token, after the edit (released: 0.1)."""
    locality_weight: float = Field(default=1.0, ge=0)
    """Weight of the KL divergence, per token, on text that has nothing to do with the fact (released: 1)."""
    validation: int = Field(default=50, ge=1)
    """Facts held out, though never more than a fifth of them."""
    validate_every: int = Field(default=200, ge=1)
    """Steps between two validations (released: 5,000)."""
    patience: int = Field(default=1000, ge=1)
    """Stop after so many steps without a better validation loss (released: 20,000)."""
    corpus: str = "mixed"
    """Text for locality: as `moment.corpus` of ROME (released: OpenWebText; `model` is text the model writes)."""
    texts: int = Field(default=1000, ge=2)
    """How many texts are taken at most; every tenth is held out."""
    length: int = Field(default=32, ge=2)
    """Each text is cut after this many tokens."""
    seed: int = 0
    """Seed of the network's first weights, and of the order of facts, questions and texts."""


class Network(nn.Module):
    """What is fitted: from the gradient of one fact to a change of each matrix."""

    def observe(self, gradient: FactGradient) -> None:
        """Take note of a gradient that is trained on; a network without running statistics ignores it."""

    def groups(self, config: LearningConfig) -> list[dict[str, Any]]:
        """Return Adam's groups of parameters with their learning rates."""
        return [{"params": list(self.parameters()), "lr": config.learning_rate}]

    def forward(self, gradient: FactGradient) -> dict[str, LowRank]:
        """Return the change of each matrix."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Trial:
    """One fact edited and looked at: the loss, which gradients flow from, and its parts."""

    loss: Tensor
    nll: float
    kl: float
    accurate: bool
    unedited: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The model, and where on it the network works."""

    lm: LanguageModel
    network: Network
    names: tuple[str, ...]
    layer: int
    config: LearningConfig

    def gradient(self, case: Case) -> FactGradient:
        batch = ask(self.lm, self.layer, [(case.fact.text, case.fact.target)])
        return gradients(self.lm, self.names, batch, [0])[0]

    def trial(self, case: Case, text: tuple[int, ...], seed: int, *, training: bool) -> Trial:
        """Edit a fact and return the loss."""
        questions = [
            (case.fact.text, case.fact.target),
            *((probe.text, probe.expected) for probe in case.probes.get("generalization", ())),
        ]
        question = questions[int(np.random.default_rng(seed).integers(len(questions)))]
        batch = ask(self.lm, self.layer, [questions[0], question], [text])
        (gradient,) = gradients(self.lm, self.names, batch, [0])
        if training:
            self.network.observe(gradient)
        with torch.set_grad_enabled(training), intervene(self.lm.model, self._hooks(gradient)):
            answer, other = answers(self.lm, batch, [1, 2])
            target = batch.targets[1]
            edit, locality = nll(answer, target), divergence(batch.base[2], other)
            loss = self.config.edit_weight * edit + self.config.locality_weight * locality
        accurate = answer.argmax(-1).tolist() == list(target)
        return Trial(loss, float(edit.detach()), float(locality.detach()), accurate, float(nll(batch.base[1], target)))

    def _hooks(self, gradient: FactGradient) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        return {
            name: adder(change, self.lm.weight_of(name).device, self.lm.dtype)
            for name, change in self.network(gradient).items()
        }
