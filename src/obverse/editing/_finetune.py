"""What the fine-tuning editors share: which modules are trained, and how training becomes an edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from obverse.core import EditFailed, Fact, JsonValue, UnsupportedModel
from obverse.editing._fit import FitConfig, Fitted, Trained, fit
from obverse.editing._fit_each import fit_each
from obverse.editing.edit import Delta, Dense, Edit, LowRank
from obverse.model.fingerprint import tensor_hash

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

ConfigType = TypeVar("ConfigType", bound=FitConfig)


class Finetuner(Generic[ConfigType]):
    """Train modules of some layers on all facts of a call together; what changed is the edit.

    A method gives its name and its default layer as a share of depth; it may choose other modules, bound the change or
    train something else than whole matrices.
    """

    method: ClassVar[str]
    depth: ClassVar[float] = 0.0

    def __init__(self, config: ConfigType) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be trained.

        Raises:
            UnsupportedModel: If a layer is out of range, or the model is a mixture of experts.
        """
        chosen = self.config.layers if self.config.layers is not None else self.default_layers(lm)
        for layer in chosen:
            lm.architecture.mlp_out(layer)  # raises
        return tuple(sorted(set(chosen)))

    def default_layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers to train where none are given."""
        return (round(self.depth * (lm.architecture.n_layers - 1)),)

    def modules(self, lm: LanguageModel) -> tuple[str, ...]:
        """Return the names of the modules that will be trained."""
        return tuple(name for layer in self.layers(lm) for name in self.modules_of(lm, layer))

    def modules_of(self, lm: LanguageModel, layer: int) -> tuple[str, ...]:
        """Return the names of the modules to train in one layer: here the MLP's output projection."""
        return (lm.architecture.mlp_out(layer),)

    def bound(self, lm: LanguageModel) -> float | None:
        """Return the largest absolute change of an entry: here none."""
        del lm
        return None

    def start(self, lm: LanguageModel) -> Trained:
        """Return what is trained, before the first step: here the modules' weights and biases."""
        return whole(lm, self.modules(lm), self.bound(lm))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts, all trained together. The model is untouched.

        Raises:
            EditFailed: If the training diverges or moves nothing: no steps, a learning rate of 0, or a loss below
                `FitConfig.stop_loss` from the start.
            UnsupportedModel: If the model is a mixture of experts, or a layer is out of range.
        """
        trained = self.start(lm)
        what = f"{facts[0].subject} → {facts[0].target}" if len(facts) == 1 else f"{len(facts)} facts"
        fitted = fit(lm, facts, trained, self.config, f"training on {what}")
        return self._edit(lm, facts, trained, fitted, _Weights(lm, trained.deltas()))

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact, trained side by side in one batch.

        Equal to editing each fact alone. As many facts share a batch as memory allows; facts that are done leave it.

        Raises:
            EditFailed: As `edit` does, if one of the facts fails.
            UnsupportedModel: If the model is a mixture of experts, or a layer is out of range.
        """
        weights = _Weights(lm, self.modules(lm))
        edits = {
            i: self._edit(lm, facts[i : i + 1], trained, fitted, weights)
            for i, trained, fitted in fit_each(lm, facts, lambda: self.start(lm), self.config)
        }
        return [edits[i] for i in range(len(facts))]

    def _edit(
        self, lm: LanguageModel, facts: Sequence[Fact], trained: Trained, fitted: Fitted, weights: _Weights
    ) -> Edit:
        deltas = {name: detached(delta) for name, delta in trained.deltas().items()}
        self._check(deltas, fitted)
        common: dict[str, JsonValue] = {
            "layers": list(self.layers(lm)),
            "evaluations": len(fitted.losses),
            "change_norm_over_weight_norm": max(delta.norm() / weights.norms[name] for name, delta in deltas.items()),
        }
        return Edit(
            deltas=deltas,
            facts=tuple(facts),
            method=self.method,
            config=self.config.model_dump(mode="json"),
            base=lm.fingerprint,
            base_name=lm.name,
            weights=weights.hashes,
            transposed=lm.architecture.transposed,
            details=tuple(
                {"subject": fact.subject, "loss": loss, **common} for fact, loss in zip(facts, fitted.last, strict=True)
            ),
        )

    def _check(self, deltas: Mapping[str, Delta], fitted: Fitted) -> None:
        norms = [part.norm() for delta in deltas.values() for part in _parts(delta)]
        if not all(torch.isfinite(norm) for norm in norms):
            raise EditFailed(
                "The change that training made is not finite; the model is untouched.",
                "Lower the learning rate (--set learning_rate=0.0001).",
            )
        if not any(norms):
            seen = f"; the loss was {fitted.losses[0]:.2g} from the start" if fitted.losses else ""
            raise EditFailed(
                f"Training moved nothing in {self.config.steps} steps at a learning rate of "
                f"{self.config.learning_rate:g}{seen}.",
                f"Allow steps and a learning rate above 0; a loss below {self.config.stop_loss:g} is taken for done "
                "(--set stop_loss=0.001).",
            )


class _Weights:
    """Hashes and norms of the weights that are trained, which all edits of a call share."""

    def __init__(self, lm: LanguageModel, modules: Iterable[str]) -> None:
        weights = {name: lm.weight_of(name).detach() for name in modules}
        self.hashes = {name: tensor_hash(weight) for name, weight in weights.items()}
        self.norms = {name: float(weight.float().norm()) for name, weight in weights.items()}


def whole(lm: LanguageModel, modules: Sequence[str], bound: float | None = None) -> Trained:
    """Return the changes of whole modules, weights and biases, all zero.

    Args:
        lm: The model.
        modules: Names of the modules.
        bound: Largest absolute change of an entry, of biases too.
    """
    deltas: dict[str, Delta] = {}
    tensors: list[Tensor] = []
    origins: list[Tensor | None] = []
    for name in modules:
        weight, bias = weight_and_bias(lm, name)
        delta = Dense(_zeros(weight), None if bias is None else _zeros(bias))
        deltas[name] = delta
        tensors += [delta.delta] if delta.bias is None else [delta.delta, delta.bias]
        origins += [weight] if bias is None else [weight, bias]
    return Trained(tensors, lambda: deltas, origins, bound)


def weight_and_bias(lm: LanguageModel, module: str) -> tuple[Tensor, Tensor | None]:
    """Return a module's weight in (out, in) order, and its bias or None."""
    found = lm.model.get_submodule(module)
    weight, bias = lm.weight_of(found).detach(), getattr(found, "bias", None)
    return weight.T if _is_transposed(found) else weight, bias.detach() if isinstance(bias, Tensor) else None


def attention_inputs(lm: LanguageModel, layer: int) -> tuple[str, ...]:
    """Return the names of the matrices by which a layer's attention reads the residual stream.

    One where queries, keys and values are fused (GPT-2's ``c_attn``), else three; the output projection is not one.

    Raises:
        UnsupportedModel: If there is none, or the layer is out of range.
    """
    attention, _, out = f"{lm.architecture.block(layer)}.{lm.architecture.layout.attn_out}".rpartition(".")
    found = [
        f"{attention}.{name}"
        for name, module in lm.model.get_submodule(attention).named_modules()
        if name != out and (isinstance(module, nn.Linear) or _is_transposed(module))
    ]
    if not found:
        raise UnsupportedModel(
            f"{attention} of {lm.architecture.family!r} holds no matrix that reads the residual stream.",
            "Choose a method that edits the MLP, e.g. ft.",
        )
    return tuple(found)


def _is_transposed(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D"


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=torch.float32, device=like.device, requires_grad=True)


def _parts(delta: Delta) -> list[Tensor]:
    """Return tensors of which one is not zero if the change is not."""
    if isinstance(delta, LowRank):
        return [torch.tensor(delta.norm())]
    return [delta.delta] if delta.bias is None else [delta.delta, delta.bias]


def detached(delta: Delta) -> Delta:
    if isinstance(delta, LowRank):
        return LowRank(delta.left.detach(), delta.right.detach())
    return Dense(delta.delta.detach(), None if delta.bias is None else delta.bias.detach())
