"""What an editor returns: changes of weights as a value that can be applied, merged, added, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import EditFailed, EditMismatch, Fact, JsonValue
from obverse.model.hooks import find_modules, intervene
from obverse.model.prefix import prefixed

if TYPE_CHECKING:
    from obverse.model.fingerprint import Fingerprint
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class LowRank:
    """A change ``delta = left @ right.T`` of one weight, always in (out, in) order.

    Attributes:
        left: What is added to the output, one column a direction.
        right: What it answers to: the input's product with a column says how strongly.
    """

    left: Float[Tensor, "out rank"]
    right: Float[Tensor, "in rank"]

    def dense(self) -> Float[Tensor, "out in"]:
        """Return the change as a full matrix."""
        return self.left @ self.right.T

    def norm(self) -> float:
        """Return the Frobenius norm without forming the matrix."""
        return float(((self.left.T @ self.left) * (self.right.T @ self.right)).sum().clamp_min(0).sqrt())

    def __add__(self, other: LowRank) -> LowRank:
        """Return the sum, whose rank is the sum of ranks."""
        return LowRank(torch.cat([self.left, other.left], 1), torch.cat([self.right, other.right], 1))


@dataclass(frozen=True, slots=True)
class Dense:
    """A change of one weight as a full matrix, always in (out, in) order, and of the module's bias if that changes too.

    Attributes:
        delta: Change of the weight.
        bias: Change of the bias; None leaves it as it is.
    """

    delta: Float[Tensor, "out in"]
    bias: Float[Tensor, " out"] | None = None

    def dense(self) -> Float[Tensor, "out in"]:
        """Return the change as a full matrix."""
        return self.delta

    def norm(self) -> float:
        """Return the Frobenius norm of the weight's change."""
        return float(self.delta.norm())


Delta = LowRank | Dense


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes of weights that write facts into one base model. The model itself is untouched until `merge`.

    Attributes:
        deltas: Module name → change of its weight.
        facts: The facts written, in order.
        method: Name of the editor.
        config: Its settings.
        base: Identity of the model it was made for.
        base_name: Name by which that model was loaded.
        weights: Module name → hash of the base's weight there.
        transposed: Whether the base stores these weights as (in, out), as GPT-2 does.
        keys: Module name → the keys the change answers to, (fact, in); empty if the method has none.
        details: What the editor wants known of each fact (steps, loss, norms).
        prefix: Text put before every prompt while the edit is applied; an edit by prompt has it in place of deltas.
    """

    deltas: Mapping[str, Delta]
    facts: tuple[Fact, ...]
    method: str
    config: JsonValue
    base: Fingerprint
    base_name: str
    weights: Mapping[str, str]
    transposed: bool = False
    keys: Mapping[str, Float[Tensor, "fact in"]] = field(default_factory=dict[str, Tensor])
    details: tuple[Mapping[str, JsonValue], ...] = ()
    prefix: str = ""

    def check(self, lm: LanguageModel) -> None:
        """Refuse a model this edit was not made for.

        Raises:
            EditMismatch: With both identities.
        """
        if lm.fingerprint != self.base:
            raise EditMismatch(
                f"This edit was made for {self.base_name} ({self.base}), but {lm.name} is {lm.fingerprint}.",
                "Load the base model it was made for, or make the edit again on this one.",
            )

    @contextmanager
    def applied(self, lm: LanguageModel, mode: Literal["hook", "weight"] = "hook") -> Iterator[None]:
        """Let the model behave as edited while the context is open; its bits are the same afterwards.

        Args:
            lm: The base model.
            mode: ``hook`` adds the change to the modules' outputs and touches no weight (also right for quantized and
                sharded models); ``weight`` adds it to the weights and puts the old ones back, also after an exception.

        Raises:
            EditMismatch: If the model is another one.
        """
        self.check(lm)
        if mode == "weight":
            with prefixed(lm, self.prefix), self._in_weights(lm):
                yield
        else:
            find_modules(lm.model, self.deltas)
            changes = {name: adder(delta, lm.weight_of(name).device, lm.dtype) for name, delta in self.deltas.items()}
            with prefixed(lm, self.prefix), intervene(lm.model, changes):
                yield

    @contextmanager
    def _in_weights(self, lm: LanguageModel) -> Iterator[None]:
        saved = [(parameter, parameter.detach().clone()) for parameter, _ in self._changed(lm)]
        try:
            self._add_to_weights(lm)
            yield
        finally:
            with torch.no_grad():
                for parameter, old in saved:
                    parameter.copy_(old)

    @torch.no_grad()
    def _add_to_weights(self, lm: LanguageModel) -> None:
        for parameter, change in self._changed(lm):
            change = change().to(parameter.device, torch.float32)
            parameter.copy_(parameter.float() + change)  # summed in float32, rounded once

    def _changed(self, lm: LanguageModel) -> Iterator[tuple[Tensor, Callable[[], Tensor]]]:
        """Yield each parameter that changes, with what makes its change in the order in which it is stored."""
        for name, module in find_modules(lm.model, self.deltas).items():
            delta = self.deltas[name]
            transposed = type(module).__name__ == "Conv1D"
            yield lm.weight_of(module), lambda d=delta, t=transposed: d.dense().T if t else d.dense()
            if isinstance(delta, Dense) and delta.bias is not None:
                yield module.get_parameter("bias"), lambda bias=delta.bias: bias

    def merge(self, lm: LanguageModel) -> None:
        """Write the change into the model's weights for good; the model is then another one.

        Raises:
            EditMismatch: If the model is not the base.
            EditFailed: If the edit is a prompt, which no weights can hold.
        """
        self.check(lm)
        if self.prefix:
            raise EditFailed(
                f"The {self.method} edit of {', '.join(fact.subject for fact in self.facts[:3])} is a prompt, not a "
                "change of weights: there is nothing to merge.",
                "Apply it while you ask (edit.applied(lm)), or edit the weights, e.g. with --method rome.",
            )
        self._add_to_weights(lm)
        lm.weights_changed()

    def save(self, folder: str | Path, *, verification: Mapping[str, Any] | None = None, replace: bool = False) -> None:
        """Write the edit as a PEFT adapter folder with ``edit.json``; see `obverse.editing.storage`.

        Args:
            folder: Where; must not exist unless ``replace``.
            verification: Summary of its verification, kept in ``edit.json``.
            replace: Whether an older folder may be replaced.
        """
        from obverse.editing.storage import save

        save(self, Path(folder), verification=verification, replace=replace)

    @staticmethod
    def load(folder: str | Path) -> Edit:
        """Read an edit that `save` wrote.

        Raises:
            DataError: If the folder is no edit.
            EditMismatch: If one of its files was altered.
        """
        from obverse.editing.storage import load

        return load(Path(folder))

    def __add__(self, other: Edit) -> Edit:
        """Stack two edits of one base; ``other`` comes after this one.

        Raises:
            EditMismatch: If they were made for different models.
        """
        if self.base != other.base:
            raise EditMismatch(
                f"The edits were made for different models: {self.base_name} ({self.base}) and "
                f"{other.base_name} ({other.base}).",
                "Only edits of one base model can be stacked.",
            )
        deltas = dict(self.deltas)
        for name, delta in other.deltas.items():
            deltas[name] = _sum(deltas[name], delta) if name in deltas else delta
        shared = self.keys.keys() & other.keys.keys()
        keys = {**self.keys, **other.keys, **{n: torch.cat([self.keys[n], other.keys[n]]) for n in shared}}
        return replace(
            self,
            deltas=deltas,
            facts=(*self.facts, *other.facts),
            method=self.method if self.method == other.method else f"{self.method}+{other.method}",
            config=self.config if self.config == other.config else [self.config, other.config],
            weights={**self.weights, **other.weights},
            keys=keys,
            details=(*self.details, *other.details),
            prefix=self.prefix + other.prefix,
        )


def stack(edits: Sequence[Edit]) -> Edit:
    """Stack edits in order; see `Edit.__add__`."""
    total = edits[0]
    for edit in edits[1:]:
        total = total + edit
    return total


def _sum(first: Delta, second: Delta) -> Delta:
    if isinstance(first, LowRank) and isinstance(second, LowRank):
        return first + second
    biases = [d.bias for d in (first, second) if isinstance(d, Dense) and d.bias is not None]
    return Dense(first.dense() + second.dense(), torch.stack(biases).sum(0) if biases else None)


def adder(delta: Delta, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function from a module's (input, output) to the output that the changed module would give."""
    if isinstance(delta, LowRank):
        left, right = delta.left.to(device, dtype), delta.right.to(device, dtype)
        return lambda inputs, output: output + (inputs @ right) @ left.T
    full = delta.delta.to(device, dtype)
    bias = delta.bias.to(device, dtype) if delta.bias is not None else 0.0
    return lambda inputs, output: output + (inputs @ full.T + bias)


def cross_talk(edits: Sequence[Edit]) -> list[tuple[str, int, int, float]]:
    """Predict how strongly the key of one fact sets off the change made for another.

    A rank-one change written for key k_i answers 1 to k_i. Its answer to k_j says what share of fact i's change is
    also written when the model thinks of fact j; 0 is none.

    Returns:
        (module, i, j, answer) for all pairs i ≠ j of facts over all edits, strongest first; facts are numbered in the
        order of the stacked edits.
    """
    pairs: list[tuple[str, int, int, float]] = []
    rights: dict[str, list[tuple[int, Tensor]]] = {}
    keys: dict[str, list[tuple[int, Tensor]]] = {}
    start = 0
    for edit in edits:
        for name, delta in edit.deltas.items():
            known = edit.keys.get(name)
            if isinstance(delta, LowRank) and known is not None and delta.right.shape[1] == len(known):
                rights.setdefault(name, []).extend((start + i, r) for i, r in enumerate(delta.right.T))
                keys.setdefault(name, []).extend((start + i, k) for i, k in enumerate(known))
        start += len(edit.facts)
    for name, answering in rights.items():
        table = torch.stack([r for _, r in answering]) @ torch.stack([k for _, k in keys[name]]).T
        for (i, _), row in zip(answering, table.tolist(), strict=True):
            pairs += [(name, i, j, value) for (j, _), value in zip(keys[name], row, strict=True) if i != j]
    return sorted(pairs, key=lambda pair: -abs(pair[3]))
