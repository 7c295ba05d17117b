"""Causal tracing the straightforward way, from the formula: one full forward pass a cell (rome.md 1.1, 1.4, 1.5).

Row 0 is clean, the others are corrupted; a hook copies row 0's state into the others at the cell. The yardstick of
`benchmarks.trace`, and what the tests compare the fast way with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from obverse.locating.trace import TraceKind, window_of
from obverse.model.hooks import Site, intervene
from obverse.model.language_model import LanguageModel

Change = Callable[[Tensor, Tensor], Tensor]


class Straightforward:
    """Traces one prompt.

    Args:
        lm: The model.
        ids: Tokens of the prompt.
        subject: Tokens of the subject.
        noise: Noise, (samples, subject tokens, embedding size).
        window: Layers of a window.
        replace: Whether noise stands in place of the embeddings.
    """

    def __init__(
        self, lm: LanguageModel, ids: Sequence[int], subject: range, noise: Tensor, window: int, replace: bool = False
    ) -> None:
        self.lm, self.window, self.subject, self.noise, self.replace = lm, window, subject, noise, replace
        self.ids = torch.tensor([list(ids)] * (len(noise) + 1))
        embedding = lm.model.get_input_embeddings()
        self.embedding = next(name for name, module in lm.model.named_modules() if module is embedding)
        self.clean_run = self._logits({})[0].softmax(-1)
        self.answer = int(self.clean_run.argmax())
        self.clean = float(self.clean_run[self.answer])
        self.corrupted = self._probability({})

    @torch.no_grad()
    def _logits(self, changes: Mapping[str, Change]) -> Tensor:
        with intervene(self.lm.model, changes):
            return self.lm.model(input_ids=self.ids).logits[:, -1].float()

    def _corrupt(self, _: Tensor, embedded: Tensor) -> Tensor:
        embedded = embedded.clone()
        where = embedded[1:, self.subject.start : self.subject.stop]
        where.copy_(self.noise if self.replace else where.double() + self.noise)
        return embedded

    def _probability(self, changes: Mapping[str, Change]) -> float:
        logits = self._logits({self.embedding: self._corrupt, **changes})[1:]
        return float(logits.softmax(-1)[:, self.answer].mean())

    def cell(self, kind: TraceKind, token: int, layer: int) -> float:
        """Return the probability of the answer with one cell restored."""
        a = self.lm.architecture

        def restore(_: Tensor, output: Tensor) -> Tensor:
            states = output.reshape(*self.ids.shape, -1).clone()
            states[1:, token] = states[0, token]
            return states.reshape(output.shape)

        if kind in ("mlp", "attn"):
            layers = window_of(layer, self.window, a.n_layers)
            return self._probability({Site(at, kind).module(a): restore for at in layers})
        changes: dict[str, Change] = {Site(layer, "hidden").module(a): restore}
        if kind == "hidden":
            return self._probability(changes)
        return self._probability({**changes, **self._held(kind.removeprefix("severed-"), token)})

    def _held(self, part: str, token: int) -> dict[str, Change]:
        """Return changes that hold what a part writes at a token, in every layer, at its corrupted values."""
        a = self.lm.architecture
        names = [Site(layer, "mlp" if part == "mlp" else "attn").module(a) for layer in range(a.n_layers)]
        kept: dict[str, Tensor] = {}

        def keep(name: str) -> Change:
            def change(_: Tensor, output: Tensor) -> Tensor:
                kept[name] = output.reshape(*self.ids.shape, -1).clone()
                return output

            return change

        def hold(name: str) -> Change:
            def change(_: Tensor, output: Tensor) -> Tensor:
                states = output.reshape(*self.ids.shape, -1).clone()
                states[1:, token] = kept[name][1:, token]
                return states.reshape(output.shape)

            return change

        self._probability({name: keep(name) for name in names})
        return {name: hold(name) for name in names}

    def table(self, kind: TraceKind) -> Tensor:
        """Return the probabilities of all cells, (token, layer)."""
        tokens, layers = self.ids.shape[1], self.lm.architecture.n_layers
        return torch.tensor([[self.cell(kind, token, layer) for layer in range(layers)] for token in range(tokens)])
