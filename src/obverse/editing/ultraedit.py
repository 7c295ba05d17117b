"""UltraEdit: many facts from one forward and one backward pass (Gu et al. 2025, arXiv 2505.14679).

At each token i of a statement, h_i is the input of a layer's MLP output matrix and g_i the gradient of the statement's
loss to that matrix' output. Both are normalized, entry by entry, by running statistics over all facts so far:

    ĥ = (h - mean h) / std h,    ĝ = (g - mean g) / std g
    v_i = -η |ĥ_i|² ĝ_i                               what a step of gradient descent would write
    ΔW = Vᵀ (H Hᵀ + λ I)⁻¹ H                          least squares for ΔW h_i = v_i; rows of H and V are h_i and v_i

Nothing is trained, no value is optimized, no second moment is needed. The cost is one pass over the statements.

Source: Gu et al. 2025, section 4 and algorithm 1 (there for transposed matrices, ΔW = (Hᵀ H + I)⁻¹ Hᵀ V: the same).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from obverse.core import Config, EditFailed, Fact, Progress
from obverse.editing._others import others
from obverse.editing._statistics import Statistics
from obverse.editing.edit import Delta, Dense, Edit, LowRank, stack
from obverse.model.fingerprint import tensor_hash
from obverse.model.hooks import intervene
from obverse.model.partial import head_sees
from obverse.model.tokens import Joined, join_all, pad, pad_id

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

DEPTHS = (0.64, 0.93)
"""First and last layer as shares of depth, where none are given: the authors' layers 18 to 26 of GPT-J's 28."""

TOKENS_PER_BATCH = 512
"""Tokens, gaps included, in one pass; the result does not depend on it."""


class UltraEditConfig(Config):
    """Settings of UltraEdit."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0; by default those from 64 to 93 % of the depth, as the authors chose for GPT-J."""
    learning_rate: float = 1e-6
    """η: how far each output is moved (the authors: 1e-6)."""
    ridge: float = Field(default=1.0, gt=0)
    """λ: how much the change is held back; in the unit of a squared key (the authors: 1)."""
    tokens: Literal["all", "target"] = "all"
    """Tokens whose keys and gradients are taken: all that cover text, or those that predict the target."""
    turn: int = Field(default=100, ge=1)
    """Facts a turn: each turn is computed upon the ones before, the statistics go on (the authors: 10 to 100)."""
    warm_up: int = Field(default=0, ge=0)
    """Facts that come with the package, over which statistics are counted before the first turn; they are not written
    (the authors: none)."""
    seed: int = 0
    """Seed of their choice."""


@dataclass(frozen=True, slots=True)
class Features:
    """What one pass gives of one matrix, one row a token.

    Attributes:
        keys: Its inputs.
        gradients: Gradients of the statement's loss to its outputs.
    """

    keys: Float[Tensor, "token inner"]
    gradients: Float[Tensor, "token hidden"]


class UltraEdit:
    """Write facts by one closed form from keys and gradients."""

    config_type = UltraEditConfig

    def __init__(self, config: UltraEditConfig) -> None:
        self.config = config

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited.

        Raises:
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        last = lm.architecture.n_layers - 1
        chosen = self.config.layers or range(round(DEPTHS[0] * last), round(DEPTHS[1] * last) + 1)
        for layer in chosen:
            lm.architecture.mlp_out(layer)
        return tuple(sorted(chosen))

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts, turn by turn. The model is untouched.

        Raises:
            EditFailed: If a change is not finite or moves nothing.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        names = [lm.architecture.mlp_out(layer) for layer in self.layers(lm)]
        size = self.config.turn
        turns = [facts[i : i + size] for i in range(0, len(facts), size)]
        statistics: dict[str, tuple[Statistics, Statistics]] = {}
        edits: list[Edit] = []
        with ExitStack() as applied, Progress("keys and gradients", len(facts) + self.config.warm_up) as progress:
            if self.config.warm_up:
                seen = self._features(lm, names, others(self.config.warm_up, self.config.seed), progress)
                statistics = _counted(statistics, seen)
            for turn in turns:
                seen = self._features(lm, names, turn, progress)
                statistics = _counted(statistics, seen)
                edits.append(self._turn(lm, turn, seen, statistics))
                if len(edits) < len(turns):
                    applied.enter_context(edits[-1].applied(lm))
        return replace(stack(edits), facts=tuple(facts))

    def _features(
        self, lm: LanguageModel, names: Sequence[str], facts: Sequence[Fact], progress: Progress
    ) -> dict[str, Features]:
        return features(lm, names, facts, every_token=self.config.tokens == "all", progress=progress)

    def _turn(
        self,
        lm: LanguageModel,
        facts: Sequence[Fact],
        seen: dict[str, Features],
        statistics: dict[str, tuple[Statistics, Statistics]],
    ) -> Edit:
        deltas = {name: self._change(found, *statistics[name]) for name, found in seen.items()}
        weights = {name: lm.weight_of(name) for name in deltas}
        shares = [deltas[name].norm() / float(weight.float().norm()) for name, weight in weights.items()]
        if not all(0 < share < float("inf") for share in shares):
            raise EditFailed(
                f"The update for {facts[0].text!r} moved nothing or is not finite; the model is untouched.",
                "Set another learning rate (--set learning_rate=1e-6), or check the model's weights for NaN.",
            )
        tokens = len(next(iter(seen.values())).keys)
        return Edit(
            deltas=deltas,
            facts=tuple(facts),
            method="ultraedit",
            config=self.config.model_dump(mode="json"),
            base=lm.fingerprint,
            base_name=lm.name,
            weights={name: tensor_hash(weight) for name, weight in weights.items()},
            transposed=lm.architecture.transposed,
            details=tuple(
                {
                    "subject": fact.subject,
                    "facts_together": len(facts),
                    "tokens": tokens,
                    "change_norm_over_weight_norm": max(shares),
                }
                for fact in facts
            ),
        )

    def _change(self, found: Features, keys: Statistics, gradients: Statistics) -> Delta:
        strength = self.config.learning_rate * keys.normalized(found.keys).square().sum(-1, keepdim=True)
        return least_squares(found.keys, -strength * gradients.normalized(found.gradients), self.config.ridge)


def least_squares(keys: Float[Tensor, "token inner"], values: Float[Tensor, "token hidden"], ridge: float) -> Delta:
    """Return the change that answers keys with values, Vᵀ (H Hᵀ + λ I)⁻¹ H, as two factors where that is smaller."""
    h, v = keys.double(), values.double()
    gram = h @ h.T
    gram.diagonal().add_(ridge)
    left, right = v.T.float(), torch.linalg.solve(gram, h).T.float()  # solved in float64: keys of one text are alike
    n, (inner, hidden) = len(h), (h.shape[1], v.shape[1])
    return LowRank(left, right) if n * (inner + hidden) < inner * hidden else Dense(left @ right.T)


def features(
    lm: LanguageModel,
    names: Sequence[str],
    facts: Sequence[Fact],
    *,
    every_token: bool = True,
    progress: Progress | None = None,
) -> dict[str, Features]:
    """Run statements once forward and once backward, and return what matrices took and how their outputs matter.

    The loss of a statement is the mean negative log-probability of its target's tokens; that of several, their sum.

    Args:
        lm: The model; untouched.
        names: Modules of the matrices.
        facts: The statements.
        every_token: Whether all tokens that cover text are taken, or those that predict the target only.
        progress: Advanced by a step a fact.

    Returns:
        For each module one row a token, statements in order; float32.
    """
    rows = join_all(lm.tokenizer, [(fact.text, fact.target) for fact in facts])
    parts: dict[str, list[Features]] = {name: [] for name in names}
    start = 0
    while start < len(rows):
        size = max(1, TOKENS_PER_BATCH // max(len(row.encoded.ids) for row in rows[start : start + 64]))
        for name, found in _pass(lm, names, rows[start : start + size], every_token).items():
            parts[name].append(found)
        if progress:
            progress.advance(len(rows[start : start + size]))
        start += size
    return {
        name: Features(torch.cat([p.keys for p in found]), torch.cat([p.gradients for p in found]))
        for name, found in parts.items()
    }


def _pass(lm: LanguageModel, names: Sequence[str], rows: Sequence[Joined], every_token: bool) -> dict[str, Features]:
    padded = pad([row.encoded.ids[:-1] for row in rows], pad_id(lm.tokenizer), lm.device)
    reads = [(i, column - 1, 1 / len(row.target)) for i, row in enumerate(rows) for column in row.target]
    targets = torch.tensor([rows[i].encoded.ids[column + 1] for i, column, _ in reads], device=lm.device)
    where, columns = (torch.tensor([read[k] for read in reads], device=lm.device) for k in (0, 1))
    weights = torch.tensor([weight for *_, weight in reads], device=lm.device)
    taken = torch.tensor(
        [
            (i, column)
            for i, row in enumerate(rows)
            for column, (begin, end) in enumerate(row.encoded.offsets[:-1])
            if (end > begin if every_token else column >= row.target.start - 1)
        ],
        device=lm.device,
    )
    keys, pushes = dict[str, Tensor](), dict[str, Tensor]()

    def watch(name: str, given: Tensor, output: Tensor) -> Tensor:
        keys[name] = given.detach()
        pushes[name] = torch.zeros_like(output, requires_grad=True)
        return output + pushes[name]

    changes = {name: lambda given, output, name=name: watch(name, given, output) for name in names}
    with torch.enable_grad(), intervene(lm.model, changes), head_sees(lm.model, where, columns):
        found = lm.model(input_ids=padded.ids, attention_mask=padded.mask, use_cache=False).logits[0].float()
        loss = (functional.cross_entropy(found, targets, reduction="none") * weights).sum()
    slopes = torch.autograd.grad(loss, [pushes[name] for name in names])

    def at_taken(tensor: Tensor) -> Tensor:
        return tensor.reshape(*padded.ids.shape, -1)[taken[:, 0], taken[:, 1]].float()  # OPT flattens its rows

    return {name: Features(at_taken(keys[name]), at_taken(slope)) for name, slope in zip(names, slopes, strict=True)}


def _counted(
    statistics: dict[str, tuple[Statistics, Statistics]], seen: dict[str, Features]
) -> dict[str, tuple[Statistics, Statistics]]:
    out: dict[str, tuple[Statistics, Statistics]] = {}
    for name, found in seen.items():
        keys, gradients = statistics.get(name) or (Statistics.empty(found.keys), Statistics.empty(found.gradients))
        out[name] = keys.add(found.keys), gradients.add(found.gradients)
    return out
