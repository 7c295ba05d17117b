"""The rows an editor looks at: a fact in contexts, followed by its target, and where to look in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import ConfigError, Fact, UnsupportedModel
from obverse.model.hooks import first_tensor
from obverse.model.partial import Rows, Suffix, prepare
from obverse.model.tokens import Encoded, encode, join_all, pad, pad_id

if TYPE_CHECKING:
    from torch import nn

    from obverse.editing.rowwise import EachRow
    from obverse.model.language_model import LanguageModel

Lookup = Literal["subject-last", "subject-first", "subject-first-after-last", "last"]
"""Token at which a fact is looked up (ROME's ``fact_token``)."""

ESSENCE = "{} is a"
"""Prompt whose next-token distribution an edit should keep (ROME, section 3.1)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of tokens.

    Attributes:
        ids: Token ids, without the target's last token.
        lookup: Token at which the fact is looked up.
        reads: Tokens whose next-token distribution is compared with `targets`; for an essence row only `lookup`.
        targets: Target ids; empty for an essence row.
        fact: Number of the fact the row belongs to.
    """

    ids: tuple[int, ...]
    lookup: int
    reads: tuple[int, ...]
    targets: tuple[int, ...]
    fact: int


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch of rows after one full pass of the model, ready to be run again above a layer.

    Attributes:
        rows: The rows; the last of each fact's is its essence row.
        suffix: What partial runs need; the lookup tokens stand in its first column.
        keys: Input of the layer's MLP output projection at the lookup tokens.
        values: Its output there.
        initial: Logits at the essence rows' lookup tokens before any change, one row a fact.
        edited: Edits the facts are looked up under, the i-th fact under the i-th; None for the model as it is.
    """

    rows: tuple[Row, ...]
    suffix: Suffix
    keys: Float[Tensor, "row inner"]
    values: Float[Tensor, "row hidden"]
    initial: Float[Tensor, "fact vocab"]
    edited: EachRow | None = None


def check_contexts(contexts: Sequence[str]) -> None:
    """Refuse contexts without exactly one place for the prompt.

    Raises:
        ConfigError: Naming the context.
    """
    for context in contexts:
        if context.count("{}") != 1:
            raise ConfigError(
                f"The context {context!r} needs exactly one '{{}}', where the prompt goes.",
                "Write contexts like 'In other news. {}'; '{}' alone is the bare prompt.",
            )


def look(
    lm: LanguageModel,
    layer: int,
    facts: Sequence[Fact],
    contexts: Sequence[str],
    lookup: Lookup = "subject-last",
    edited: EachRow | None = None,
) -> Looked:
    """Run facts in contexts once and keep what value optimization and the closed form need.

    Args:
        lm: The model.
        layer: The layer that will be edited.
        facts: The facts.
        contexts: Templates with one ``{}`` for the prompt; the first is the bare one, ``{}``.
        lookup: Where to look.
        edited: Edits to look under, one a fact; None for the model as it is.

    Raises:
        UnsupportedModel: If the family's MLP write cannot be recomputed from its output projection.
    """
    rows = [row for i, fact in enumerate(facts) for row in _rows(lm, i, fact, contexts, lookup)]
    pivots = [row.lookup for row in rows]
    padded = pad([row.ids for row in rows], pad_id(lm.tokenizer), lm.device, pivots)
    pivot = max(pivots)
    essence = torch.tensor([i for i, row in enumerate(rows) if not row.targets], device=lm.device)
    caught: dict[str, Tensor] = {}
    with edited.rows([row.fact for row in rows]) if edited else nullcontext():
        handles = _catch_at(lm, layer, padded.ids.shape, pivot, caught)  # after the edits, so that it sees their work
        try:
            suffix, initial = prepare(
                lm.model, lm.architecture, padded, layer + 1, pivot, Rows(essence, torch.zeros_like(essence))
            )
        finally:
            for remove in handles:
                remove()
    assert initial is not None
    write = mlp_write(lm, layer)
    error = (write(caught["values"]) - caught["write"]).abs().max() / caught["write"].abs().max().clamp_min(1e-12)
    if not error < 1e-3:
        raise UnsupportedModel(
            f"In {lm.architecture.family!r} the MLP's write to the residual stream does not follow from its output "
            f"projection (relative error {float(error):.2g}).",
            "Give the writer by hand: Architecture(...) is public.",
        )
    return Looked(tuple(rows), suffix, caught["keys"], caught["values"], initial, edited)


def mlp_write(lm: LanguageModel, layer: int) -> Callable[[Tensor], Tensor]:
    """Return the function from the MLP output projection's output to what is added to the residual stream."""
    layout = lm.architecture.layout
    if layout.mlp_write == layout.mlp_out:
        return lambda value: value
    return lm.model.get_submodule(f"{lm.architecture.block(layer)}.{layout.mlp_write}")


def _catch_at(
    lm: LanguageModel, layer: int, shape: torch.Size, pivot: int, caught: dict[str, Tensor]
) -> list[Callable[[], None]]:
    def at_pivot(tensor: Tensor) -> Tensor:
        return tensor.detach().reshape(*shape, -1)[:, pivot].clone()  # OPT flattens batch and position

    def projection(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        caught["keys"], caught["values"] = at_pivot(args[0]), at_pivot(output)

    def writer(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        caught["write"] = at_pivot(first_tensor(output))

    block = lm.model.get_submodule(lm.architecture.block(layer))
    out = lm.model.get_submodule(lm.architecture.mlp_out(layer))
    return [
        out.register_forward_hook(projection).remove,
        block.get_submodule(lm.architecture.layout.mlp_write).register_forward_hook(writer).remove,
    ]


def _rows(lm: LanguageModel, index: int, fact: Fact, contexts: Sequence[str], lookup: Lookup) -> list[Row]:
    texts = [context.replace("{}", fact.text) for context in contexts]
    out: list[Row] = []
    for context, text, joined in zip(
        contexts, texts, join_all(lm.tokenizer, [(text, fact.target) for text in texts]), strict=True
    ):
        shift = context.index("{}")
        span = (fact.span[0] + shift, fact.span[1] + shift)
        end = len(text) if context.endswith("{}") else shift + len(fact.text)
        place = lookup_token(joined.encoded, span, end, lookup)
        ids, target = joined.encoded.ids, joined.target
        out.append(Row(ids[:-1], place, tuple(i - 1 for i in target), tuple(ids[i] for i in target), index))
    essence = ESSENCE.replace("{}", fact.subject)
    encoded = encode(lm.tokenizer, essence)
    place = lookup_token(encoded, (0, len(fact.subject)), len(essence), lookup)
    # What follows the lookup token cannot change the distribution after it, so it need not be run.
    return [*out, Row(encoded.ids[: place + 1], place, (place,), (), index)]


def lookup_token(encoded: Encoded, subject: tuple[int, int], prompt_end: int, lookup: Lookup) -> int:
    """Return the token at which a fact is looked up.

    Args:
        encoded: The row.
        subject: Characters of the subject, [start, end).
        prompt_end: Where the prompt ends and the target starts, in characters.
        lookup: The strategy; ``subject-first-after-last`` falls back to the last subject token if nothing follows.
    """
    tokens = encoded.tokens_of(*subject)
    last = encoded.tokens_of(prompt_end - 1, prompt_end)[-1]
    match lookup:
        case "subject-first":
            return tokens[0]
        case "subject-last":
            return tokens[-1]
        case "subject-first-after-last":
            return min(tokens[-1] + 1, last)
        case "last":
            return last
