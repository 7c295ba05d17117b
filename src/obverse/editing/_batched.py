"""What the editors share that write many facts at once: values for all, keys for all, one change a layer.

The change is ΔW = R Aᵀ: column i of R is what key i should be answered with in addition, and column i of A is what
answers to key i. A method is its A.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from obverse.core import DataError, EditFailed, Fact, JsonValue
from obverse.editing._rows import Looked, Lookup, look
from obverse.editing.contexts import ContextConfig
from obverse.editing.edit import Dense, Edit, LowRank, stack
from obverse.editing.moments import SecondMoment
from obverse.editing.rowwise import EachRow
from obverse.editing.values import Value, ValueConfig
from obverse.model.fingerprint import tensor_hash

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


class BatchConfig(ValueConfig):
    """Settings shared by the editors that write all facts at once."""

    layers: tuple[int, ...] | None = None
    """Layers to edit, from 0; by default the method's rule."""
    lookup: Lookup = "subject-last"
    """Token at which a fact is looked up."""
    contexts: ContextConfig = Field(default_factory=ContextConfig)
    """Contexts a fact is put in."""
    at_once: int = Field(default=16, ge=1)
    """How many facts' values are optimized side by side; a matter of memory and speed, not of the result."""
    last_wins: bool = False
    """Whether of several facts with the same prompt and subject the last is written; they are refused otherwise."""


def distinct(facts: Sequence[Fact], last_wins: bool) -> tuple[Fact, ...]:
    """Return facts of which no two answer the same question.

    Args:
        facts: The facts.
        last_wins: Whether the last of several is taken.

    Raises:
        DataError: If there are none, or two answer the same question; names them.
    """
    if not facts:
        raise DataError("There are no facts to write.", "Give at least one.")
    kept: dict[str, Fact] = {}
    for fact in facts:
        older = kept.pop(fact.text.strip(), None)
        if older is not None and not last_wins:
            same = older.target.strip() == fact.target.strip()
            how = f"twice, both times with {fact.target!r}" if same else f"with {older.target!r} and {fact.target!r}"
            raise DataError(
                f"The batch has {'duplicate' if same else 'conflicting'} facts: {fact.text!r} stands there {how}.",
                "Leave one of them out, or take the last (last_wins=true; obverse edit --last-wins).",
            )
        kept[fact.text.strip()] = fact
    return tuple(kept.values())


def chosen_layers(lm: LanguageModel, layers: Sequence[int]) -> tuple[int, ...]:
    """Return layers in ascending order, each checked.

    Raises:
        UnsupportedModel: If one is out of range, or the family has no single matrix there.
    """
    for layer in layers:
        lm.architecture.mlp_out(layer)
    return tuple(sorted(set(layers)))


def looked_parts(
    lm: LanguageModel,
    layer: int,
    facts: Sequence[Fact],
    templates: Sequence[str],
    config: BatchConfig,
    upon: Sequence[Edit] = (),
) -> Iterator[tuple[Looked, str]]:
    """Yield the facts looked up at a layer, `BatchConfig.at_once` at a time, each with a label for its progress.

    With ``upon``, one edit a fact, each fact is looked up under its own.
    """
    for start in range(0, len(facts), config.at_once):
        some = facts[start : start + config.at_once]
        label = f"optimizing facts {start + 1} to {start + len(some)} of {len(facts)}"
        edited = EachRow(lm, upon[start : start + config.at_once]) if upon else None
        yield look(lm, layer, some, templates, config.lookup, edited), label


def by_context(rows: Float[Tensor, "row dim"], templates: Sequence[str]) -> Float[Tensor, "fact context dim"]:
    """Arrange the rows of `Looked` by fact and context, the essence rows left out."""
    return rows.reshape(-1, len(templates) + 1, rows.shape[-1])[:, :-1]


def regularized(moment: SecondMoment) -> Float[Tensor, "inner inner"]:
    """Return C with its ridge on the diagonal, float64."""
    matrix = moment.matrix.clone()
    matrix.diagonal().add_(moment.ridge * matrix.diagonal().mean())
    return matrix


def solve(matrix: Float[Tensor, "n n"], right: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return matrix⁻¹ right of a positive definite matrix, by Cholesky."""
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def layer_edit(
    lm: LanguageModel,
    layer: int,
    facts: Sequence[Fact],
    keys: Float[Tensor, "fact inner"],
    residuals: Float[Tensor, "fact hidden"],
    answers: Float[Tensor, "inner fact"],
) -> Edit:
    """Return the change R Aᵀ of one layer as an edit without method and settings.

    Raises:
        EditFailed: If it is not finite.
    """
    name = lm.architecture.mlp_out(layer)
    weight = lm.weight_of(name)
    change = _change(layer, residuals, answers)
    small = len(facts) * (change.left.shape[0] + change.right.shape[0]) < weight.numel()
    return replace(
        _unwritten(lm, name),
        deltas={name: change if small else Dense(change.dense())},
        facts=tuple(facts),
        keys={name: keys},
    )


def layer_edit_each(
    lm: LanguageModel,
    layer: int,
    facts: Sequence[Fact],
    keys: Float[Tensor, "fact inner"],
    residuals: Float[Tensor, "fact hidden"],
    answers: Float[Tensor, "inner fact"],
) -> list[Edit]:
    """Return the change of one layer for each fact alone; see `layer_edit`.

    Args:
        lm: The model.
        layer: The layer.
        facts: The facts.
        keys: Their keys.
        residuals: What each key should be answered with in addition.
        answers: Column i is what answers to key i where fact i is the only one.

    Raises:
        EditFailed: If one is not finite.
    """
    name = lm.architecture.mlp_out(layer)
    whole, blank = _change(layer, residuals, answers), _unwritten(lm, name)
    return [
        replace(
            blank,
            deltas={name: LowRank(whole.left[:, [i]].contiguous(), whole.right[:, [i]].contiguous())},
            facts=(fact,),
            keys={name: keys[[i]]},
        )
        for i, fact in enumerate(facts)
    ]


def _change(layer: int, residuals: Float[Tensor, "fact hidden"], answers: Float[Tensor, "inner fact"]) -> LowRank:
    change = LowRank(residuals.T.contiguous(), answers.to(residuals).contiguous())
    if not torch.isfinite(change.left).all() or not torch.isfinite(change.right).all():
        raise EditFailed(
            f"The update of layer {layer} is not finite; the model is untouched.",
            "Set a larger ridge (--set moment.ridge=0.01), or lower the learning rate.",
        )
    return change


def _unwritten(lm: LanguageModel, name: str) -> Edit:
    """Return an edit of one module that changes nothing yet."""
    return Edit(
        deltas={},
        facts=(),
        method="",
        config=None,
        base=lm.fingerprint,
        base_name=lm.name,
        weights={name: tensor_hash(lm.weight_of(name))},
        transposed=lm.architecture.transposed,
    )


def whole_edit(
    edits: Sequence[Edit], method: str, config: BatchConfig, details: Sequence[dict[str, JsonValue]]
) -> Edit:
    """Join the edits of all layers into that of the batch.

    Raises:
        EditFailed: If nothing moved.
    """
    whole = replace(
        stack(edits),
        facts=edits[0].facts,
        method=method,
        config=config.model_dump(mode="json"),
        details=tuple(details),
    )
    if not any(delta.norm() for delta in whole.deltas.values()):
        raise EditFailed(
            f"The edit of {len(whole.facts)} fact{'s' if len(whole.facts) > 1 else ''} moved nothing.",
            "Allow more steps (--set steps=20).",
        )
    return whole


def value_detail(fact: Fact, value: Value, layers: Sequence[int]) -> dict[str, JsonValue]:
    """Return what is worth knowing of the optimization of one fact's value."""
    last = value.steps[-1]
    return {
        "subject": fact.subject,
        "layers": list(layers),
        "evaluations": len(value.steps),
        "loss": last.loss,
        "nll": last.nll,
        "kl": last.kl,
        "delta_norm_over_value_norm": float(value.delta.norm() / value.initial.norm()),
    }
