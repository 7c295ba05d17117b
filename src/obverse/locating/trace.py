"""CausalTrace: what a causal trace found, as one value that can be saved, tabulated and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from obverse.core import Fact
from obverse.locating._file import FileKind, Saved
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


TraceKind: TypeAlias = Literal["hidden", "mlp", "attn", "severed-mlp", "severed-attn"]
"""What is restored at a cell. ``hidden``: the block's output; ``mlp``, ``attn``: what the MLPs, the attentions of a
window of layers write; ``severed-mlp``, ``severed-attn``: the block's output, while what all MLPs, all attentions write
at that token is held at its corrupted values (rome.md 1.5)."""

TRACE_KINDS: tuple[TraceKind, ...] = get_args(TraceKind)

Role: TypeAlias = Literal[
    "first subject token",
    "middle subject tokens",
    "last subject token",
    "first subsequent token",
    "further tokens",
    "last token",
]
"""Part a token plays in a statement (rome.md 1.6)."""

ROLES: tuple[Role, ...] = get_args(Role)


def roles_of(subject: range, tokens: int) -> dict[Role, range]:
    """Return the tokens in each role; tokens before the subject have none.

    Of a one-token subject the first token is also the last; where nothing but the last token follows the subject, that
    is also the first subsequent one; where nothing follows, there is no subsequent token and the last token is the
    subject's last (the original fails there).

    Args:
        subject: Tokens of the subject, [b, e).
        tokens: Number of tokens of the prompt.
    """
    b, e = subject.start, subject.stop
    return {
        "first subject token": range(b, b + 1),
        "middle subject tokens": range(b + 1, max(b + 1, e - 1)),
        "last subject token": range(e - 1, e),
        "first subsequent token": range(e, min(e + 1, tokens)),
        "further tokens": range(e + 1, max(e + 1, tokens - 1)),
        "last token": range(tokens - 1, tokens),
    }


@dataclass(frozen=True, slots=True)
class Effect:
    """One cell of a trace.

    Attributes:
        kind: What was restored.
        position: Index of the token.
        token: Its text.
        layer: Layer, or centre of the window of layers, from 0.
        probability: Of the answer, with the cell restored; mean over samples.
        indirect_effect: ``probability`` less that of the corrupted run.
    """

    kind: TraceKind
    position: int
    token: str
    layer: int
    probability: float
    indirect_effect: float


@dataclass(frozen=True, slots=True, eq=False)
class CausalTrace(Saved):
    """How much of an answer comes back when single states of a corrupted run are restored (rome.md 1).

    Attributes:
        fact: The statement as it was given.
        model: Name of the model.
        fingerprint: What model it was.
        answer: Text of the answer token: the one whose probability was followed, the model's own likeliest next token
            unless another was asked for.
        answer_id: Its id.
        tokens: Text of each token of the prompt, special tokens included.
        token_ids: Their ids.
        subject: The subject's tokens, [b, e).
        clean: Probability of the answer after the plain prompt.
        corrupted: The same with a corrupted subject, mean over samples.
        restored: The same with one cell restored, by kind, (pos, layer).
        window: Number of layers of a window (``mlp`` and ``attn``); clipped at the edges.
        noise: The noise rule as it was given, e.g. ``s3``.
        level: What a draw was multiplied by; 3 sigma for ``s3``.
        replace: Whether noise stood in place of the embeddings, not on top of them.
        samples: Number of noise samples.
        seed: Seed of the noise.
    """

    FILE: ClassVar[FileKind] = FileKind("trace", "a", "trace anew", format=1)

    fact: Fact
    model: str
    fingerprint: Fingerprint
    answer: str
    answer_id: int
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    subject: range
    clean: float
    corrupted: float
    restored: Mapping[TraceKind, Float[Tensor, "pos layer"]]
    window: int
    noise: str
    level: float
    replace: bool
    samples: int
    seed: int

    @property
    def kinds(self) -> tuple[TraceKind, ...]:
        """What was restored, in the order of `TRACE_KINDS`."""
        return tuple(kind for kind in TRACE_KINDS if kind in self.restored)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return next(iter(self.restored.values())).shape[1]

    @property
    def total_effect(self) -> float:
        """What the corruption takes away: clean less corrupted probability (rome.md 1.6)."""
        return self.clean - self.corrupted

    def indirect_effect(self, kind: TraceKind = "hidden") -> Float[Tensor, "pos layer"]:
        """Return what each restored cell gives back: restored less corrupted probability (rome.md 1.6)."""
        return self.restored[kind] - self.corrupted

    @property
    def roles(self) -> dict[Role, range]:
        """The tokens in each role."""
        return roles_of(self.subject, len(self.tokens))

    def role(self, position: int) -> Role | None:
        """Return a token's role, None before the subject; of several the last token, then the subject's last."""
        found: set[Role] = {role for role, tokens in self.roles.items() if position in tokens}
        ranked: tuple[Role, ...] = ("last token", "last subject token", *ROLES)
        return next((role for role in ranked if role in found), None)

    def by_role(self, kind: TraceKind = "hidden") -> Float[Tensor, "role layer"]:
        """Return the mean indirect effect over the tokens in each role, in the order of `ROLES`; NaN where none is."""
        effects = self.indirect_effect(kind)
        return torch.stack([effects[tokens.start : tokens.stop].mean(0) for tokens in self.roles.values()])

    def strongest(self, k: int = 10, kind: TraceKind | None = None) -> list[Effect]:
        """Return the cells with the largest indirect effects, largest first.

        Args:
            k: How many.
            kind: Of which kind; of all if None.
        """
        found: list[Effect] = []
        for one in self.kinds if kind is None else (kind,):
            effects = self.indirect_effect(one)
            values, places = effects.flatten().topk(min(k, effects.numel()))
            for value, place in zip(values.tolist(), places.tolist(), strict=True):
                position, layer = divmod(place, self.n_layers)
                probability = float(self.restored[one][position, layer])
                found.append(Effect(one, position, self.tokens[position], layer, probability, value))
        return sorted(found, key=lambda effect: -effect.indirect_effect)[:k]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a cell: kind, position, token, role, layer, probability, indirect_effect."""
        import pandas as pd

        rows = [
            (kind, position, token, self.role(position), layer, float(probability))
            for kind in self.kinds
            for position, token in enumerate(self.tokens)
            for layer, probability in enumerate(self.restored[kind][position].tolist())
        ]
        frame = pd.DataFrame(rows, columns=["kind", "position", "token", "role", "layer", "probability"])
        frame["indirect_effect"] = frame["probability"] - self.corrupted
        return frame

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw one heat map a kind, as in the paper's figures (needs the extra ``plot``).

        Args:
            path: Where to write it as PNG, PDF or SVG, by its ending; not written if None.
        """
        from obverse.locating.figures import heat_maps

        return heat_maps([self], path)

    def tables(self) -> dict[str, Tensor]:
        """Return the tables by name."""
        return {str(kind): self.restored[kind] for kind in self.kinds}

    @classmethod
    def from_tables(cls, record: dict[str, Any], tables: Mapping[str, Tensor]) -> CausalTrace:
        """Make it of what `to_json` and `tables` gave."""
        restored: dict[TraceKind, Tensor] = {kind: tables[kind] for kind in TRACE_KINDS if kind in tables}
        read = {
            "fact": Fact(**record["fact"]),
            "fingerprint": Fingerprint.from_json(record["fingerprint"]),
            "tokens": tuple(record["tokens"]),
            "token_ids": tuple(record["token_ids"]),
            "subject": range(*record["subject"]),
        }
        return cls(**{**record, **read}, restored=restored)

    def to_json(self, *, tables: bool = True) -> dict[str, Any]:
        """Return everything as JSON values; the tables too unless told otherwise."""
        record: dict[str, Any] = {
            "fact": asdict(self.fact),
            "model": self.model,
            "fingerprint": self.fingerprint.to_json(),
            "answer": self.answer,
            "answer_id": self.answer_id,
            "tokens": list(self.tokens),
            "token_ids": list(self.token_ids),
            "subject": [self.subject.start, self.subject.stop],
            "clean": self.clean,
            "corrupted": self.corrupted,
            "window": self.window,
            "noise": self.noise,
            "level": self.level,
            "replace": self.replace,
            "samples": self.samples,
            "seed": self.seed,
        }
        if tables:
            record["restored"] = {kind: self.restored[kind].tolist() for kind in self.kinds}
        return record


def window_of(layer: int, window: int, n_layers: int) -> range:
    """Return the layers of a window centred on a layer, clipped at the edges (rome.md 1.4).

    Of 10 layers: l - 5 to l + 4, as in the original's code (its paper says l - 4 to l + 5).
    """
    return range(max(0, layer - window // 2), min(n_layers, layer - window // 2 + window))
