"""New tokens for a model and its tokenizer, such as the control tokens of conditional training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from obverse.core import ConfigError, UnsupportedModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from obverse.model.language_model import LanguageModel

SPREAD = 0.01
"""Standard deviation of what sets a new token's vector apart from the mean (PHF, `train.py`)."""


def grow_vocabulary(lm: LanguageModel, tokens: Sequence[str], generator: torch.Generator) -> tuple[int, ...]:
    """Make each text a single token of the model; those that are one already stay as they are.

    A new token's vector, in the input embedding and in the projection to the vocabulary (once where they are tied), is
    the mean over the old tokens plus `SPREAD` times standard normal noise, so that its probability starts near that of
    any other token; a random start gives large logits, and the token is drawn too often. Rows that a model keeps in
    reserve are used before the matrices grow.

    Args:
        lm: Changed in place: its tokenizer, its matrices, ``config.vocab_size``.
        tokens: Texts, each to be one special token.
        generator: Source of the noise, on the CPU.

    Returns:
        The token ids, in the order given.

    Raises:
        ConfigError: If a text does not become a single token.
        UnsupportedModel: If the model's matrices cannot be resized.

    Source:
        Korbak et al. 2023, `train.py`: the mean and the noise.
    """
    known = lm.tokenizer.get_vocab()
    new = [token for token in dict.fromkeys(tokens) if token not in known]
    if new:
        from transformers import AddedToken

        added: list[str | AddedToken] = [AddedToken(token, special=True, normalized=False) for token in new]
        lm.tokenizer.add_tokens(added, special_tokens=True)
        _grow_matrices(lm, [single_token(lm.tokenizer, token) for token in new], generator)
        lm.weights_changed()
    return tuple(single_token(lm.tokenizer, token) for token in tokens)


def single_token(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """Return the id of a text that is one token.

    Raises:
        ConfigError: If the tokenizer does not know it, or splits it.
    """
    found = tokenizer.get_vocab().get(token)
    if found is None or tokenizer.encode(token, add_special_tokens=False) != [found]:
        raise ConfigError(
            f"{token!r} is not a token of this tokenizer; control tokens must be single tokens.",
            "Give the tokenizer of a model trained with them, or train one with the conditional objective, which adds "
            "them.",
        )
    return found


def new_rows(old: Float[Tensor, "vocab hidden"], noise: Float[Tensor, "new hidden"]) -> Float[Tensor, "new hidden"]:
    """Return the vectors of new tokens: the mean of the old ones plus `SPREAD` times the noise, in the noise's type."""
    return old.mean(0, dtype=noise.dtype) + SPREAD * noise


def _grow_matrices(lm: LanguageModel, ids: Sequence[int], generator: torch.Generator) -> None:
    first, size = min(ids), max(ids) + 1
    rows = lm.weight_of(lm.model.get_input_embeddings()).shape[0]
    if size > rows:
        try:
            lm.model.resize_token_embeddings(size, mean_resizing=False)
        except (TypeError, ValueError, NotImplementedError, AttributeError, RuntimeError) as error:
            raise UnsupportedModel(
                f"The vocabulary of {lm.name} cannot grow from {rows} to {size} tokens: {error}",
                "Take a model whose tokenizer has the tokens already, or another family.",
            ) from error
    matrices = {id(lm.weight_of(module)): module for module in (lm.model.get_input_embeddings(), lm.head)}
    for module in matrices.values():
        _fill(module, first, ids, generator)


@torch.no_grad()
def _fill(module: nn.Module, first: int, ids: Sequence[int], generator: torch.Generator) -> None:
    """Give the rows of new tokens their values; old tokens are those below the first new one."""
    weight, bias = module.get_parameter("weight"), getattr(module, "bias", None)
    noise = torch.randn(len(ids), weight.shape[1], generator=generator).to(weight.device)
    weight[list(ids)] = new_rows(weight[:first], noise).to(weight.dtype)
    if isinstance(bias, Tensor):
        bias[list(ids)] = bias[:first].mean()
    for parameter in module.parameters():
        parameter.requires_grad_(weight.requires_grad)
