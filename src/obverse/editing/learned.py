"""Editors that are fitted before they can edit: how they edit, are fitted, and are saved.

Several facts make one joint update: each fact's change is computed on the model as it is, and they are added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from obverse.core import Case, Config, ConfigError, EditFailed, EditMismatch, Fact, JsonValue, track
from obverse.editing._gradients import ask, gradients, matrices
from obverse.editing._hypernetwork import LearningConfig, Network
from obverse.editing._hypernetwork_file import FittedNetwork, read_header, read_tensors, write_fitted
from obverse.editing._hypernetwork_fit import Validation, best, fit, split
from obverse.editing.edit import Dense, Edit, LowRank
from obverse.model.fingerprint import Fingerprint, tensor_hash

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

__all__ = ["LearnedConfig", "LearnedEditor", "Validation", "best", "split"]

_ROWS = 16
"""Facts whose gradients are taken in one batch."""


class LearnedConfig(Config):
    """Settings of every learned editor."""

    weights: str | None = None
    """File of the fitted editor, which `obverse edit-fit` writes; needed to edit."""
    layers: tuple[int, ...] | None = None
    """Layers whose MLP matrices are changed, from 0; by default the last three (released: 45 to 47 of GPT-2 XL)."""
    scale: float = 1.0
    """Factor on the finished change (released: lr_scale 1)."""


class LearnedEditor:
    """Base of MEND and KE; they say how their network is built."""

    method: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config
        self._fitted: FittedNetwork | None = None

    def sizes(self, shapes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
        """Return the network's sizes, those that follow from the model resolved."""
        raise NotImplementedError

    def build(self, shapes: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], width: int, seed: int) -> Network:
        """Return a new network.

        Args:
            shapes: Module name → (out, in).
            sizes: From `sizes`.
            width: Length of an input embedding.
            seed: Seed of its first weights.
        """
        raise NotImplementedError

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited.

        Raises:
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
            ConfigError, DataError, EditMismatch: If weights are given that do not fit.
        """
        if self._fitted is not None or self.config.weights is not None:
            return tuple(self._state(lm).structure["layers"])
        n = lm.architecture.n_layers
        chosen = self.config.layers if self.config.layers is not None else range(max(0, n - 3), n)
        matrices(lm, chosen)
        return tuple(sorted(chosen))

    def modules(self, lm: LanguageModel) -> tuple[str, ...]:
        """Return the names of the matrices that will be changed; raises as `layers` does."""
        return tuple(matrices(lm, self.layers(lm)))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts together, in one update. The model is untouched.

        Raises:
            ConfigError: If no fitted weights are given.
            EditMismatch: If they were fitted on another model.
            EditFailed: If the change is not finite, or nothing.
        """
        changes, losses = self._changes(lm, facts)
        return self._edit(lm, facts, changes, losses)

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact; their gradients come from shared batches."""
        changes, losses = self._changes(lm, facts)
        return [self._edit(lm, facts[i : i + 1], changes[i : i + 1], losses[i : i + 1]) for i in range(len(facts))]

    def fit(self, lm: LanguageModel, cases: Sequence[Case], checkpoint: Path | None = None) -> tuple[Validation, ...]:
        """Fit the editor on facts; it can then edit this model, and be saved.

        Args:
            lm: The model; untouched.
            cases: Facts with their paraphrases.
            checkpoint: File to keep the state in while fitting, and to go on from after a stop.

        Returns:
            The validations, in order.

        Raises:
            ObverseError: As `obverse.editing._hypernetwork_fit.fit` does.
        """
        settings: LearningConfig = self.config.fit
        layers = self.layers(lm)
        shapes = matrices(lm, layers)
        structure = {"layers": list(layers), **self.sizes(shapes)}
        network = self.build(shapes, self.sizes(shapes), lm.embedded, settings.seed).to(lm.device)
        told = settings.model_dump(mode="json")
        identity = {
            "method": self.method,
            "structure": structure,
            "settings": told,
            "base model": lm.fingerprint.to_json(),
            "facts": _digest(cases),
        }
        history = fit(lm, network, list(shapes), layers[0], cases, settings, identity, checkpoint)
        self._fitted = FittedNetwork(network, structure, told, lm.fingerprint, lm.name, len(cases), history)
        return history

    def save(self, path: Path) -> None:
        """Write the fitted editor as one safetensors file, whole or not at all.

        Raises:
            ConfigError: If it is not fitted.
        """
        if self._fitted is None:
            raise self._unfitted()
        write_fitted(path, self.method, self._fitted)

    def _state(self, lm: LanguageModel) -> FittedNetwork:
        if self._fitted is None:
            if self.config.weights is None:
                raise self._unfitted()
            self._fitted = self._load(lm, Path(self.config.weights))
        if self._fitted.base != lm.fingerprint:
            raise EditMismatch(
                f"This {self.method} was fitted on {self._fitted.base_name} ({self._fitted.base}), but {lm.name} is "
                f"{lm.fingerprint}.",
                "Load the model it was fitted on, or fit it on this one with obverse edit-fit.",
            )
        return self._fitted

    def _unfitted(self) -> ConfigError:
        return ConfigError(
            f"The method {self.method} is learned, and no fitted weights are given.",
            f"Fit it with 'obverse edit-fit --method {self.method} --facts FACTS --out FILE', then edit with --set "
            "weights=FILE.",
        )

    def _load(self, lm: LanguageModel, path: Path) -> FittedNetwork:
        header = read_header(path)
        if header["method"] != self.method:
            raise ConfigError(
                f"{path} holds a fitted {header['method']}, not {self.method}.", f"Use --method {header['method']}."
            )
        structure = header["structure"]
        given = self.config.model_dump(mode="json", exclude_none=True)
        for name in structure.keys() & self.config.model_fields_set & given.keys():
            if given[name] != structure[name]:
                raise ConfigError(
                    f"{path} was fitted with {name}={structure[name]}, but {name}={given[name]} is asked.",
                    f"Give --set {name}={json.dumps(structure[name])}, or fit anew.",
                )
        base = Fingerprint.from_json(header["base"])
        history = tuple(Validation(**one) for one in header["history"])
        known = (structure, header["fit"], base, header["base_name"], header["facts"], history)
        if base != lm.fingerprint:
            return FittedNetwork(Network(), *known)  # not built: its shapes may be others
        shapes = matrices(lm, structure["layers"])
        sizes = {name: size for name, size in structure.items() if name != "layers"}
        network = self.build(shapes, sizes, lm.embedded, header["fit"]["seed"]).to(lm.device)
        network.load_state_dict(read_tensors(path))
        return FittedNetwork(network, *known)

    @torch.no_grad()
    def _changes(self, lm: LanguageModel, facts: Sequence[Fact]) -> tuple[list[dict[str, LowRank]], list[float]]:
        state = self._state(lm)
        layers = state.structure["layers"]
        names = list(matrices(lm, layers))
        changes: list[dict[str, LowRank]] = []
        losses: list[float] = []
        starts = range(0, len(facts), _ROWS)
        for start in track(starts, f"editing by {self.method}") if len(starts) > 1 else starts:
            batch = ask(lm, layers[0], [(fact.text, fact.target) for fact in facts[start : start + _ROWS]])
            for gradient in gradients(lm, names, batch, range(len(batch.ids))):
                changes.append(state.network(gradient))
                losses.append(gradient.nll)
        return changes, losses

    def _edit(
        self, lm: LanguageModel, facts: Sequence[Fact], changes: Sequence[dict[str, LowRank]], losses: Sequence[float]
    ) -> Edit:
        state = self._state(lm)
        weights = {name: lm.weight_of(name) for name in changes[0]}
        details: list[Mapping[str, JsonValue]] = []
        for fact, change, loss in zip(facts, changes, losses, strict=True):
            share = max(change[name].norm() / float(weight.detach().float().norm()) for name, weight in weights.items())
            if not torch.tensor(share).isfinite() or share == 0:
                raise EditFailed(
                    f"The change for {fact.text!r} is {'not finite' if share else 'nothing'}; the model is untouched.",
                    f"Fit {self.method} anew, on more facts or with a lower learning rate.",
                )
            details.append({
                "subject": fact.subject,
                "nll_before": loss,
                "change_norm_over_weight_norm": abs(self.config.scale) * share,
            })  # fmt: skip
        return Edit(
            deltas={name: _joint([change[name] for change in changes], self.config.scale) for name in weights},
            facts=tuple(facts),
            method=self.method,
            config={**self.config.model_dump(mode="json"), **state.structure, "fit": state.fit},
            base=lm.fingerprint,
            base_name=lm.name,
            weights={name: tensor_hash(weight) for name, weight in weights.items()},
            transposed=lm.architecture.transposed,
            details=tuple(details),
        )


def _joint(changes: Sequence[LowRank], scale: float) -> LowRank | Dense:
    left, right = torch.cat([one.left for one in changes], 1), torch.cat([one.right for one in changes], 1)
    whole = LowRank(scale * left, right)
    return whole if left.shape[1] < min(len(left), len(right)) else Dense(whole.dense())  # the smaller of the two


def _digest(cases: Sequence[Case]) -> str:
    told = [
        (asdict(case.fact), [asdict(probe) for probe in case.probes.get("generalization", ())], case.id)
        for case in cases
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
