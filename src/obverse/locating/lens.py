"""The logit lens: what a model would say if it stopped after each of its blocks.

    depth 0      embedding         ──┐
    depth 1      after block 0     ──┼─→  final norm  →  vocabulary projection  →  softmax
      ...                            │
    depth n      after block n - 1 ──┘    (this one is what the model says)

Norm, projection, soft-capping and scaling are the model's own, run by its own forward pass.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; ROME's ``util/logit_lens.py`` (last token only).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from obverse.core import ConfigError, UnsupportedModel, track
from obverse.measuring.likelihood import LOGITS_PER_BATCH, TopToken
from obverse.model.hooks import capture_modules
from obverse.model.partial import gives_tuples, head_logits
from obverse.model.tokens import Encoded, encode, join

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)

EMBEDDING = -1
"""The layer number of what enters the first block."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Next-token distributions read off the hidden states of one prompt.

    Of the axes, ``read`` goes over `positions`, and ``depth`` over `layers`: the embedding, then each block's output.

    Attributes:
        prompt: The text.
        model: Name of the model.
        tokens: Text of each token of the prompt, special tokens included.
        token_ids: Their ids.
        positions: Indices of the tokens that were read.
        answer: Text of the token that was followed.
        answer_id: Its id.
        probability: Of the answer, (read, depth).
        rank: How many tokens are likelier than the answer, plus 1, (read, depth).
        entropy: Of the distribution, in bits, (read, depth).
        kl: KL(last depth || this depth), in bits: how far this distribution is from the final one, (read, depth).
        top_ids: The likeliest tokens, likeliest first, (read, depth, k).
        top_probabilities: Their probabilities, (read, depth, k).
        texts: Text of each token in `top_ids`.
        states: The hidden states themselves, (read, depth, hidden).
    """

    prompt: str
    model: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    positions: tuple[int, ...]
    answer: str
    answer_id: int
    probability: Float[Tensor, "read depth"]
    rank: Int[Tensor, "read depth"]
    entropy: Float[Tensor, "read depth"]
    kl: Float[Tensor, "read depth"]
    top_ids: Int[Tensor, "read depth k"]
    top_probabilities: Float[Tensor, "read depth k"]
    texts: Mapping[int, str]
    states: Float[Tensor, "read depth hidden"]

    @property
    def layers(self) -> range:
        """The layers read: -1 for the embedding, then the blocks from 0."""
        return range(EMBEDDING, self.probability.shape[1] + EMBEDDING)

    def top(self, position: int, layer: int) -> tuple[TopToken, ...]:
        """Return the likeliest tokens at one of `positions` and one of `layers`, likeliest first."""
        cell = self.positions.index(position), self.layers.index(layer)
        pairs = zip(self.top_ids[cell].tolist(), self.top_probabilities[cell].tolist(), strict=True)
        return tuple(TopToken(token, self.texts[token], probability) for token, probability in pairs)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a token and layer: the likeliest token, the answer's probability and rank, entropy and KL."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for i, position in enumerate(self.positions):
            for values in self._cells(i):
                top = self.top(position, values["layer"])[0]
                likeliest = {"likeliest": top.text, "likeliest_probability": top.probability}
                rows.append({"position": position, "token": self.tokens[position], **values, **likeliest})
        return pd.DataFrame(rows)

    def _cells(self, i: int) -> list[dict[str, Any]]:
        names = ("layer", "probability", "rank", "entropy_bits", "kl_bits")
        tables = (table[i].tolist() for table in (self.probability, self.rank, self.entropy, self.kl))
        return [dict(zip(names, values, strict=True)) for values in zip(self.layers, *tables, strict=True)]

    def plot(self, path: str | Path | None = None, *, after: Lens | None = None) -> Figure:
        """Draw the lens: lines over layers for one token, a heat map for several (needs the extra ``plot``).

        Args:
            path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.
            after: A second lens of the same prompt, e.g. with an edit, drawn beside.
        """
        from obverse.locating.lens_figure import draw

        return draw(self, after, path)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the hidden states as JSON values; layer -1 is the embedding."""
        readings = [
            {
                "position": position,
                "token": self.tokens[position],
                "layers": [
                    {**values, "top": [asdict(token) for token in self.top(position, values["layer"])]}
                    for values in self._cells(i)
                ],
            }
            for i, position in enumerate(self.positions)
        ]
        return {
            "prompt": self.prompt,
            "model": self.model,
            "tokens": list(self.tokens),
            "token_ids": list(self.token_ids),
            "answer": self.answer,
            "answer_id": self.answer_id,
            "readings": readings,
        }


@torch.no_grad()
def lens(
    lm: LanguageModel,
    prompt: str,
    k: int = 5,
    positions: Sequence[int] | None = None,
    answer: str | int | None = None,
) -> Lens:
    """Read what a model would say after each of its blocks.

    Args:
        lm: The model; edits applied to it count.
        prompt: The text.
        k: How many of the likeliest tokens to keep.
        positions: Indices of the tokens to read, from 0, or from the end if negative; all of them if None.
        answer: The answer to follow, by its first token, or a token's id; what the model says at the last of the
            positions if None.

    Raises:
        ConfigError: If the prompt is empty or longer than the model's context, a position is out of range, or ``k`` is
            below 1.
        DataError: If the answer is empty.
        UnsupportedModel: If the parts of the model cannot be found, or its states are not finite numbers.
    """
    if k < 1:
        raise ConfigError(f"{k} likeliest tokens were asked for; at least 1 was expected.", "Ask for 1 or more.")
    encoded = read_prompt(lm, prompt)
    chosen = _in_range(positions, encoded, lm)
    project, states = _projection(lm), _states(lm, encoded.ids, chosen)
    if answer is None:
        answer = int(project(states[-1, -1:]).argmax())
    answer_id = _answer_id(lm, encoded, answer)
    size = max(1, LOGITS_PER_BATCH // (states.shape[1] * lm.vocab))  # whole tokens, all their depths
    batches = track(states.split(size), "reading the states")
    measured = [_measure(project, batch, answer_id, min(k, lm.vocab)) for batch in batches]
    tables = [torch.cat(part).cpu() for part in zip(*measured, strict=True)]
    if not tables[0].isfinite().all():
        raise UnsupportedModel(
            f"The hidden states of {lm.name} are not finite numbers in {str(lm.dtype).removeprefix('torch.')}.",
            "Load the model in float32 or bfloat16.",
        )
    tokens = tuple(lm.decode([token]) for token in encoded.ids)
    texts = {token: lm.decode([token]) for token in tables[4].unique().tolist()}
    of_prompt = prompt, lm.name, tokens, encoded.ids, chosen
    return Lens(*of_prompt, lm.decode([answer_id]), answer_id, *tables, texts=texts, states=states.float().cpu())


def distance(before: Lens, after: Lens) -> Float[Tensor, "read depth"]:
    """Return by how much the hidden states of two lenses of one prompt differ, relative to the first one's norm."""
    norm = before.states.norm(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)
    return (after.states - before.states).norm(dim=-1) / norm


def parting(before: Lens, after: Lens) -> tuple[int | None, ...]:
    """Return for each token read the layer from which on, up to the last, the likeliest tokens of two lenses differ.

    None where they agree in the end.
    """
    layers: list[int | None] = []
    for differs in (before.top_ids[..., 0] != after.top_ids[..., 0]).tolist():
        alike = [layer for layer, differ in zip(before.layers, differs, strict=True) if not differ]
        first = alike[-1] + 1 if alike else EMBEDDING
        layers.append(first if first in before.layers else None)
    return tuple(layers)


def read_prompt(lm: LanguageModel, prompt: str) -> Encoded:
    """Tokenize a prompt.

    Raises:
        ConfigError: If it is empty or longer than the model's context.
    """
    if not prompt.strip():
        raise ConfigError("The prompt is empty.", "Give a text with at least one letter.")
    encoded = encode(lm.tokenizer, prompt)
    if lm.context is not None and len(encoded.ids) > lm.context:
        raise ConfigError(
            f"The prompt has {len(encoded.ids)} tokens; {lm.name} reads at most {lm.context}.", "Shorten the prompt."
        )
    return encoded


def _in_range(positions: Sequence[int] | None, encoded: Encoded, lm: LanguageModel) -> tuple[int, ...]:
    n = len(encoded.ids)
    if positions is None:
        return tuple(range(n))
    wrong = [str(position) for position in positions if not -n <= position < n]
    if wrong or not positions:
        listed = ", ".join(f"{i} {lm.decode([token])!r}" for i, token in enumerate(encoded.ids[:40]))
        raise ConfigError(
            f"There is no token {', '.join(wrong)}: the prompt has tokens 0 to {n - 1}."
            if wrong
            else "No token was chosen.",
            f"The tokens are {listed}{', …' if n > 40 else ''}. Negative numbers count from the end.",
        )
    return tuple(position % n for position in positions)


def _states(lm: LanguageModel, ids: Sequence[int], positions: Sequence[int]) -> Float[Tensor, "read depth hidden"]:
    blocks = [lm.architecture.block(layer) for layer in range(lm.architecture.n_layers)]
    names = {str(depth): name for depth, name in enumerate([blocks[0], *blocks])}
    row = torch.tensor([list(ids)], device=lm.device)
    inputs = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    caught = capture_modules(lm.model, inputs, names, inputs_of={"0"}, stop=True)
    last = caught[str(len(blocks))].device
    return torch.stack([caught[depth][0, list(positions)].to(last) for depth in names], 1)


def _projection(lm: LanguageModel) -> Callable[[Float[Tensor, "row hidden"]], Float[Tensor, "row vocab"]]:
    """Return the model's own way from the output of its last block to logits."""
    as_tuple = gives_tuples(lm.model, lm.architecture)
    return lambda states: head_logits(lm.model, lm.architecture, states, as_tuple).float()


def _answer_id(lm: LanguageModel, encoded: Encoded, answer: str | int) -> int:
    if isinstance(answer, int):
        if not 0 <= answer < lm.vocab:
            raise ConfigError(f"There is no token {answer}.", f"Ids go from 0 to {lm.vocab - 1}.")
        return answer
    joined = join(lm.tokenizer, encoded.text, answer)
    start = joined.target.start
    if joined.encoded.ids[:start] != encoded.ids:
        _log.warning(
            "The first token of %r reaches into the prompt, so the model cannot say it after the prompt as it stands.",
            answer,
        )
    return joined.encoded.ids[start]


def _measure(
    project: Callable[[Tensor], Tensor], states: Float[Tensor, "read depth hidden"], answer: int, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the numbers of a `Lens`, in the order of its fields from `probability` on."""
    logprobs = project(states.flatten(0, 1)).log_softmax(-1).unflatten(0, states.shape[:2])  # read depth vocab
    chosen, final = logprobs[..., answer], logprobs[:, -1:]
    rank = (logprobs > chosen[..., None]).sum(-1) + 1
    kl = (final.exp() * (final - logprobs)).sum(-1).clamp_min(0) / math.log(2)
    probabilities = logprobs.exp()
    entropy = torch.special.entr(probabilities).sum(-1) / math.log(2)
    top = probabilities.topk(k)
    return chosen.exp(), rank, entropy, kl, top.indices, top.values
