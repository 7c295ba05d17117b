"""Fit a learned editor's network on facts: the loop, its validations and its checkpoints.

A step takes one fact. Facts held out say when to stop, and which of the networks seen is kept. Everything drawn comes
from (seed, step), so a fit that is stopped and goes on ends as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from obverse.core import Case, ConfigError, DataError, EditFailed, Progress, RunConflict, seed_for, write_whole
from obverse.data.corpus import corpus
from obverse.editing._hypernetwork import Bench, LearningConfig, Network
from obverse.editing._samples import model_texts
from obverse.model.tokens import encode

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

SAVE_EVERY = 60.0
"""Seconds between two checkpoints."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How the network does on the facts held out, each edited alone; means over facts.

    Attributes:
        step: Steps before.
        loss: The weighted loss.
        nll: Negative log-probability of the target after the edit, nats per token.
        kl: KL divergence on other text, nats per token.
        accuracy: Share of facts whose target is the arg-max throughout after the edit.
        unedited: The target's negative log-probability before the edit.
    """

    step: int
    loss: float
    nll: float
    kl: float
    accuracy: float
    unedited: float


def fit(
    lm: LanguageModel,
    network: Network,
    names: Sequence[str],
    layer: int,
    cases: Sequence[Case],
    config: LearningConfig,
    identity: Mapping[str, Any],
    checkpoint: Path | None = None,
) -> tuple[Validation, ...]:
    """Fit a network; it holds the weights that validated best afterwards.

    Args:
        lm: The model; untouched.
        network: What to fit.
        names: The matrices it changes.
        layer: The first layer among them.
        cases: Facts to learn from, with paraphrases if there are any.
        config: Settings.
        identity: What else the result depends on, as JSON values; a checkpoint of another identity is refused.
        checkpoint: File to keep the state in while fitting, and to go on from.

    Returns:
        The validations, in order; the first is that of the network as it began.

    Raises:
        DataError: If there are fewer than two facts.
        ConfigError: If the corpus has too little text.
        EditFailed: If the loss is not finite.
        RunConflict: If the checkpoint is that of another fit.
    """
    train, held = split(cases, config)
    plain = texts(lm, config)
    kept = max(1, len(plain) // 10)
    bench = Bench(lm, network, tuple(names), layer, config)
    adam = torch.optim.Adam(network.groups(config))
    state = _State.resumed(checkpoint, identity, network, adam) or _State.new(bench, train)
    saved = time.monotonic()
    with Progress("fitting", config.steps) as progress:
        progress.advance(state.step)
        while not state.validated(bench, held, plain[-kept:]) and state.step < config.steps:
            case = train[_drawn(config.seed, state.step, len(train))]
            text = plain[state.step % (len(plain) - kept)]
            trial = bench.trial(case, text, seed_for(config.seed, "question", state.step), training=True)
            _descend(adam, trial.loss, config, state.step)
            state.step += 1
            progress.advance(1, f"loss {float(trial.loss.detach()):.3f}, best {state.best.loss:.3f}")
            whole = state.step % config.accumulate == 0  # between them, gradients are under way
            if checkpoint is not None and whole and time.monotonic() - saved >= SAVE_EVERY:
                state.save(checkpoint, identity, network, adam)
                saved = time.monotonic()
    network.load_state_dict(state.weights)
    return tuple(state.history)


class _State:
    """How far a fit has come."""

    def __init__(self, step: int, history: list[Validation], weights: dict[str, Tensor]) -> None:
        self.step, self.history, self.weights = step, history, weights

    @classmethod
    def new(cls, bench: Bench, train: Sequence[Case]) -> _State:
        for case in train[: bench.config.accumulate]:  # so that the first validation has statistics to go by
            bench.network.observe(bench.gradient(case))
        return cls(0, [], {})

    @property
    def best(self) -> Validation:
        """The best validation so far."""
        return best(self.history)

    def validated(self, bench: Bench, held: Sequence[Case], texts: Sequence[tuple[int, ...]]) -> bool:
        """Validate if it is time, and say whether to stop."""
        config = bench.config
        if self.step % config.validate_every and self.step != config.steps:
            return False
        trials = [
            bench.trial(case, texts[i % len(texts)], seed_for(config.seed, "held", case.id), training=False)
            for i, case in enumerate(held)
        ]
        means = np.mean([(float(t.loss), t.nll, t.kl, t.accurate, t.unedited) for t in trials], axis=0).tolist()
        self.history.append(Validation(self.step, *means))
        if self.best is self.history[-1]:
            self.weights = {name: value.detach().clone() for name, value in bench.network.state_dict().items()}
        return self.step - self.best.step >= config.patience

    def save(self, path: Path, identity: Mapping[str, Any], network: Network, adam: torch.optim.Adam) -> None:
        moments = {
            f"adam.{i}.{key}": value for i, of in adam.state_dict()["state"].items() for key, value in of.items()
        }
        tensors = {
            **{f"now.{name}": value for name, value in network.state_dict().items()},
            **{f"best.{name}": value for name, value in self.weights.items()},
            **moments,
        }
        about = {"identity": dict(identity), "step": self.step, "history": [asdict(one) for one in self.history]}
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_whole(path, lambda file: save_file(plain, file, {"obverse_fit": json.dumps(about)}))

    @classmethod
    def resumed(
        cls, path: Path | None, identity: Mapping[str, Any], network: Network, adam: torch.optim.Adam
    ) -> _State | None:
        """Go on from a checkpoint, if there is one."""
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads(file.metadata()["obverse_fit"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no checkpoint of a fit: {error}.", "Remove it to begin anew.") from error
        given = json.loads(json.dumps(dict(identity)))
        if differing := [key for key in given if given[key] != about["identity"].get(key)]:
            raise RunConflict(
                f"{path} is the checkpoint of another fit; it differs in {', '.join(differing)}.",
                "Fit with the settings it was begun with to go on, or remove it to begin anew.",
            )
        network.load_state_dict(_under(tensors, "now."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "adam.").items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = value
        adam.load_state_dict({**adam.state_dict(), "state": moments})
        return cls(about["step"], [Validation(**one) for one in about["history"]], _under(tensors, "best."))


def best(history: Sequence[Validation]) -> Validation:
    """Return the validation of the least loss, the first of several."""
    return min(history, key=lambda one: one.loss if math.isfinite(one.loss) else math.inf)


def split(cases: Sequence[Case], config: LearningConfig) -> tuple[list[Case], list[Case]]:
    """Return the facts to learn from and those held out.

    Raises:
        DataError: If there are fewer than two facts.
    """
    if len(cases) < 2:
        raise DataError(
            f"{len(cases)} fact{'s' if len(cases) != 1 else ''} to learn from; at least two are needed, one of them "
            "held out.",
            "Give a file with many facts; the originals learnt from 10,000.",
        )
    held = min(config.validation, max(1, len(cases) // 5))
    order = np.random.default_rng(seed_for(config.seed, "split")).permutation(len(cases))
    return [cases[i] for i in order[held:]], [cases[i] for i in order[:held]]


def _drawn(seed: int, step: int, n: int) -> int:
    """Return which of n facts a step takes; each is taken once an epoch."""
    return int(np.random.default_rng(seed_for(seed, "epoch", step // n)).permutation(n)[step % n])


def texts(lm: LanguageModel, config: LearningConfig) -> list[tuple[int, ...]]:
    """Return the texts for locality as token ids, in the corpus' order; the last tenth is held out.

    Raises:
        ConfigError: If the corpus has too little text.
    """
    found: list[tuple[int, ...]] = []
    own = config.corpus == "model"
    tokens = config.texts * config.length
    for text in (
        model_texts(lm, tokens, config.length, config.seed) if own else corpus(config.corpus, config.seed).texts()
    ):
        ids = encode(lm.tokenizer, text).ids[: config.length]
        if len(ids) > 1:
            found.append(ids)
        if len(found) == config.texts:
            break
    if len(found) < 2:
        raise ConfigError(
            f"The corpus {config.corpus!r} has {len(found)} texts of two tokens or more; at least two are needed.",
            "Name a file with paragraphs of text, or use --set fit.corpus=mixed.",
        )
    return found


def _descend(adam: torch.optim.Adam, loss: Tensor, config: LearningConfig, step: int) -> None:
    """Add a step's gradients, and let Adam go on when enough have come together."""
    parameters: list[nn.Parameter] = [p for group in adam.param_groups for p in group["params"]]
    found = torch.autograd.grad(loss / config.accumulate, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
    if (step + 1) % config.accumulate == 0:
        norm = nn.utils.clip_grad_norm_(parameters, config.clip)
        if not torch.isfinite(norm):
            raise EditFailed(
                f"The gradient of the fit became {float(norm)} at step {step}.",
                "Lower the learning rate, e.g. --set fit.learning_rate=1e-6.",
            )
        adam.step()
        adam.zero_grad()


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
