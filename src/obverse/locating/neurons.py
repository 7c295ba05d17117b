"""Attribution: how much each neuron of the MLPs adds to an answer, as one value that can be saved and tabulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import Fact
from obverse.locating._file import FileKind, Saved
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


At: TypeAlias = Literal["key", "preactivation"]
"""What is scaled. ``key``: the input of the MLP's output projection, which an edit of that matrix answers to;
``preactivation``: the output of the MLP's first matrix, before the nonlinearity (rome.md 3.2)."""

Rule: TypeAlias = Literal["midpoint", "reference"]
"""Where the gradient is taken on the way from 0 to 1. ``midpoint``: in the middle of each of `steps` equal parts;
``reference``: at `steps` points from 0 to 1, both ends included, all with weight 1 / `steps` (rome.md 3.2)."""

Reading: TypeAlias = Literal["sequence", "same-position"]
"""What an answer of several tokens means. ``sequence``: the probability of the whole answer, each token after those
before it; ``same-position``: the mean of its tokens' probabilities, all right after the prompt (rome.md 3.2)."""

_TABLES = ("scores", "values", "without")


@dataclass(frozen=True, slots=True)
class Neuron:
    """One neuron of an MLP.

    Attributes:
        layer: Its layer, from 0.
        index: Its place in the key, from 0.
        score: What it adds to the probability of the answer.
        share: `score` over the largest score of any neuron; 0 where that is not positive.
        value: Its own value at the token: of the key, or before the nonlinearity.
    """

    layer: int
    index: int
    score: float
    share: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Attribution(Saved):
    """How much each neuron adds to the probability of an answer (Dai et al. 2022, section 3.2).

    Attributes:
        fact: The statement; its target is the answer.
        model: Name of the model.
        fingerprint: What model it was.
        tokens: Text of each token of the prompt, special tokens included.
        token_ids: Their ids.
        position: The token at which neurons were scaled.
        answer: Text of the answer's tokens.
        answer_ids: Their ids.
        at: What was scaled.
        rule: Where gradients were taken.
        reading: What an answer of several tokens means.
        steps: Number of gradients a layer.
        probability: Of the answer, nothing scaled.
        without: The same with one layer's value at the token set to 0, by layer.
        scores: What each neuron adds.
        values: Its value at the token.
    """

    FILE: ClassVar[FileKind] = FileKind("attribution", "an", "attribute anew", format=1)

    fact: Fact
    model: str
    fingerprint: Fingerprint
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    position: int
    answer: str
    answer_ids: tuple[int, ...]
    at: At
    rule: Rule
    reading: Reading
    steps: int
    probability: float
    without: Float[Tensor, " layer"]
    scores: Float[Tensor, "layer neuron"]
    values: Float[Tensor, "layer neuron"]

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.scores.shape[0]

    @property
    def highest(self) -> float:
        """The largest score of any neuron, which shares are of."""
        return float(self.scores.max())

    def by_layer(self) -> Float[Tensor, " layer"]:
        """Return the sum of each layer's scores: what the whole layer adds at that token."""
        return self.scores.sum(1)

    def unexplained(self) -> Float[Tensor, " layer"]:
        """Return how far each layer's scores are from adding up to what setting the layer to 0 takes away.

        It is 0 for exact integrals (completeness; Sundararajan et al. 2017, proposition 1): what remains is the error
        of summing at `steps` points.
        """
        return self.by_layer() - (self.probability - self.without)

    def top(self, k: int = 20) -> list[Neuron]:
        """Return the k neurons with the largest scores, largest first."""
        return [self._neuron(place) for place in self._order()[:k]]

    def above(self, share: float = 0.2) -> list[Neuron]:
        """Return the neurons whose score is more than a share of the largest, largest first.

        Args:
            share: The threshold; that of the reference is 0.2. With no positive score there are none.
        """
        count = int((self.scores > share * self.highest).sum()) if self.highest > 0 else 0
        return self.top(count)

    def _order(self) -> list[int]:
        # Stable, so that equal scores come in the order of layers.
        return self.scores.flatten().argsort(descending=True, stable=True).tolist()

    def _neuron(self, place: int) -> Neuron:
        layer, index = divmod(place, self.scores.shape[1])
        score, highest = float(self.scores[layer, index]), self.highest
        return Neuron(layer, index, score, score / highest if highest > 0 else 0.0, float(self.values[layer, index]))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a neuron, by layer and place: layer, neuron, score, share, value."""
        import pandas as pd

        layers, width = self.scores.shape
        scores = self.scores.flatten()
        return pd.DataFrame(
            {
                "layer": torch.arange(layers).repeat_interleave(width).numpy(),
                "neuron": torch.arange(width).repeat(layers).numpy(),
                "score": scores.numpy(),
                "share": (scores / self.highest if self.highest > 0 else torch.zeros_like(scores)).numpy(),
                "value": self.values.flatten().numpy(),
            }
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw what each layer adds, and its strongest neurons (needs the extra ``plot``).

        Args:
            path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.
        """
        from obverse.locating.neurons_figure import draw

        return draw(self, path)

    def tables(self) -> dict[str, Tensor]:
        """Return the tables by name."""
        return {name: getattr(self, name) for name in _TABLES}

    @classmethod
    def from_tables(cls, record: dict[str, Any], tables: Mapping[str, Tensor]) -> Attribution:
        """Make it of what `to_json` and `tables` gave."""
        read = {
            "fact": Fact(**record["fact"]),
            "fingerprint": Fingerprint.from_json(record["fingerprint"]),
            **{name: tuple(record[name]) for name in ("tokens", "token_ids", "answer_ids")},
            **{name: tables[name] for name in _TABLES},
        }
        return cls(**{**record, **read})

    def to_json(self, *, tables: bool = True) -> dict[str, Any]:
        """Return everything as JSON values; the tables too unless told otherwise."""
        record: dict[str, Any] = {
            "fact": asdict(self.fact),
            "model": self.model,
            "fingerprint": self.fingerprint.to_json(),
            "tokens": list(self.tokens),
            "token_ids": list(self.token_ids),
            "position": self.position,
            "answer": self.answer,
            "answer_ids": list(self.answer_ids),
            "at": self.at,
            "rule": self.rule,
            "reading": self.reading,
            "steps": self.steps,
            "probability": self.probability,
        }
        if tables:
            record |= {name: getattr(self, name).tolist() for name in _TABLES}
        return record
