"""Traces some statements: runs, waves, and what the last states say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from obverse.core import Fact, Progress
from obverse.locating._cells import Cell, Group, Wave, groups_of, run_wave
from obverse.locating._runs import PARTS, Part, Runs, Statement, run
from obverse.locating._sizes import Sizes, even, packed
from obverse.locating.noise import Noise
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.model.partial import head_logits

if TYPE_CHECKING:
    from obverse.locating.tracing import TraceConfig
    from obverse.model.language_model import LanguageModel

LOGITS = 1 << 21
"""Logits summed at a time."""


class Tracer:
    """Traces some statements; tables are filled as waves come back.

    Args:
        lm: The model.
        config: Settings.
        noise: The noise.
        statements: What to trace, from the shortest to the longest.
    """

    def __init__(self, lm: LanguageModel, config: TraceConfig, noise: Noise, statements: Sequence[Statement]) -> None:
        a = lm.architecture
        self.lm, self.config, self.noise, self.statements = lm, config, noise, statements
        self.kinds = tuple(dict.fromkeys(config.kinds))
        self.restored: list[Part] = [part for part in PARTS if part in self.kinds]
        self.severed: list[Part] = [part for part in PARTS if f"severed-{part}" in self.kinds]
        self.groups = groups_of(self.kinds, a.n_layers, config.window)
        self.sizes = Sizes.of(lm, config.memory, len(self.restored), len(self.severed))
        longest = max(len(one.ids) for one in statements)
        self.tables = torch.zeros(len(statements), len(self.kinds), longest, a.n_layers, dtype=torch.float64)
        self.clean = torch.zeros(len(statements), dtype=torch.float64)
        self.corrupted = torch.zeros(len(statements), dtype=torch.float64)
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def work(self) -> int:
        """Number of cells times samples."""
        cells = sum(len(group) for group in self.groups) * self.config.samples
        return sum((len(one.ids) - one.subject.start) * cells for one in self.statements)

    def run(self, progress: Progress) -> None:
        """Trace everything."""
        copies = [(fact, sample) for fact in range(len(self.statements)) for sample in range(self.config.samples)]
        for some in self.sizes.batches(copies, [len(one.ids) for one in self.statements]):
            self._run_batch(some, progress)

    def _run_batch(self, copies: Sequence[tuple[int, int]], progress: Progress) -> None:
        facts = sorted({fact for fact, _ in copies})
        drawn = {fact: self._noise(fact) for fact in facts}
        runs = run(
            self.lm,
            [self.statements[fact] for fact in facts],
            [(facts.index(fact), drawn[fact][sample]) for fact, sample in copies],
            self.config.replace,
            self.restored,
            self.severed,
        )
        self._ends(runs, facts)
        for wave in self._waves(runs):
            cells, states = run_wave(self.lm, wave)
            self._keep(runs, facts, wave, cells, states)
            progress.advance(len(cells) * len(wave.rows))
        self._flush(runs.prefix.as_tuple)

    def _noise(self, fact: int) -> Tensor:
        tokens = len(self.statements[fact].subject)
        return self.noise.draw(self.config.samples, tokens, self.lm.embedded, self.config.seed)

    def _ends(self, runs: Runs, facts: Sequence[int]) -> None:
        """Note the probabilities of the clean and corrupted runs."""
        states = torch.cat([runs.clean[-1][:, -1], runs.corrupted[-1][:, -1]])
        of = torch.tensor(facts)[torch.cat([torch.arange(len(facts)), runs.fact_of.cpu()])]
        found = self._probabilities(states, of, runs.prefix.as_tuple)
        self.clean[torch.tensor(facts)] = found[: len(facts)]
        self.corrupted.index_add_(0, of[len(facts) :], found[len(facts) :] / self.config.samples)

    def _waves(self, runs: Runs) -> Iterator[Wave]:
        last = runs.columns - 1
        for column in range(min(runs.starts), last + 1):
            inside = torch.tensor([runs.starts[fact] <= column for fact in runs.fact_of.tolist()])
            rows = inside.nonzero()[:, 0].to(runs.fact_of.device)
            # What is restored in the last block reaches the answer from the last token only.
            groups = [group for group in self.groups if column == last or not self._is_idle(group)]
            limit = self.sizes.rows_of_wave(runs.columns, column)
            most = max(1, limit // max(len(group) for group in groups))
            for some in even(rows, most):
                yield from (Wave(runs, column, some, chosen) for chosen in packed(groups, limit // len(some)))

    def _is_idle(self, group: Group) -> bool:
        return group[0].start == self.lm.architecture.n_layers

    def _idle(self, kind: TraceKind) -> list[int]:
        """Return the layers at which restoring reaches the answer from the last token only."""
        idle = (cell for group in self.groups if self._is_idle(group) for cell in group)
        return [cell.layer for cell in idle if cell.kind == kind]

    def _keep(self, runs: Runs, facts: Sequence[int], wave: Wave, cells: Sequence[Cell], states: Tensor) -> None:
        fact = torch.tensor(facts)[runs.fact_of[wave.rows].cpu()]
        lengths = torch.tensor([len(self.statements[one].ids) for one in fact.tolist()])
        token = wave.column - (runs.columns - lengths)
        kind = torch.tensor([self.kinds.index(cell.kind) for cell in cells])[:, None]
        layer = torch.tensor([cell.layer for cell in cells])[:, None]
        _, n_kinds, n_tokens, n_layers = self.tables.shape
        place = ((fact * n_kinds + kind) * n_tokens + token) * n_layers + layer
        self.waiting.append((states.flatten(0, 1).clone(), fact.expand(len(cells), -1).flatten(), place.flatten()))
        if sum(len(one) for one, _, _ in self.waiting) >= self.sizes.rows_of_head:
            self._flush(runs.prefix.as_tuple)

    def _flush(self, as_tuple: bool) -> None:
        """Read the answer's probability off the states that wait, hundreds at a time."""
        if not self.waiting:
            return
        states, fact, place = (torch.cat(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting.clear()
        found = self._probabilities(states, fact, as_tuple) / self.config.samples
        self.tables.view(-1).index_add_(0, place, found)

    def _probabilities(self, states: Tensor, fact: Tensor, as_tuple: bool) -> Tensor:
        answers = torch.tensor([one.answer for one in self.statements])[fact].to(states.device)
        found: list[Tensor] = []
        for start in range(0, len(states), self.sizes.rows_of_head):
            part = slice(start, start + self.sizes.rows_of_head)
            logits = head_logits(self.lm.model, self.lm.architecture, states[part], as_tuple).float()
            chosen = logits.gather(1, answers[part, None].to(logits.device))[:, 0]
            # A few rows at a time: the exponentials of all would not stay in a CPU's caches.
            total = torch.cat([few.logsumexp(-1) for few in logits.split(max(1, LOGITS // self.lm.vocab))])
            found.append((chosen - total).exp().double().cpu())
        return torch.cat(found)

    def result(self, place: int, fact: Fact) -> CausalTrace:
        """Return the trace of one of the statements, made for a fact."""
        lm, config, statement = self.lm, self.config, self.statements[place]
        n = len(statement.ids)
        restored: dict[TraceKind, Tensor] = {}
        for i, kind in enumerate(self.kinds):
            table = self.tables[place, i, :n].clone()
            table[: statement.subject.start] = self.corrupted[place]  # nothing was corrupted there
            table[:-1, self._idle(kind)] = self.corrupted[place]
            restored[kind] = table.float()
        return CausalTrace(
            fact=fact,
            model=lm.name,
            fingerprint=lm.fingerprint,
            answer=lm.decode([statement.answer]),
            answer_id=statement.answer,
            tokens=tuple(lm.decode([token]) for token in statement.ids),
            token_ids=statement.ids,
            subject=statement.subject,
            clean=float(self.clean[place]),
            corrupted=float(self.corrupted[place]),
            restored=restored,
            window=config.window,
            noise=self.noise.rule,
            level=self.noise.level,
            replace=config.replace,
            samples=config.samples,
            seed=config.seed,
        )
