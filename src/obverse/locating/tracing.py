"""Causal tracing: which states carry an answer? (Meng et al. 2022, arXiv 2202.05262, section 2; rome.md 1).

The subject of a prompt is corrupted with noise, and single states are restored to what they were without it. A state
that brings the answer back carries what the answer needs. For each token t and layer l

    IE(t, l) = P*, clean state at (t, l) [answer] - P* [answer]            (indirect effect)

where P* is the mean over noise samples of the probability after a corrupted subject.

Exact, and as little work as that takes: a cell runs only the layers above it and the tokens from its own on, and asks
only for the answer's probability at the last token. See `staged` for how cells climb together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from obverse.core import Config, Fact, Progress, SubjectNotFound
from obverse.locating._cells import Cell, Group, Wave, groups_of, run_wave
from obverse.locating._runs import PARTS, Part, Runs, Statement, run
from obverse.locating._sizes import Sizes, even, packed
from obverse.locating.noise import Noise, noise_for
from obverse.locating.trace import CausalTrace, TraceKind
from obverse.measuring import top_tokens
from obverse.model.partial import head_logits
from obverse.model.tokens import encode, join

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


LOGITS = 1 << 21
"""Logits summed at a time."""


class TraceConfig(Config):
    """Settings of a causal trace. Defaults are the reference's (rome.md 1)."""

    kinds: Annotated[tuple[TraceKind, ...], Field(min_length=1)] = ("hidden", "mlp", "attn")
    """What is restored: hidden (block outputs), mlp and attn (windows of writes), severed-mlp, severed-attn."""
    window: Annotated[int, Field(ge=1)] = 10
    """Layers of a window; clipped at the first and last layer."""
    samples: Annotated[int, Field(ge=1)] = 10
    """Noise samples; probabilities are means over them."""
    noise: str = "s3"
    """Noise rule: 0.1 (absolute), s3 (3 sigma), u0.5 (uniform), m (multivariate), t5 (Student's t)."""
    replace: bool = False
    """Whether noise stands in place of the subject's embeddings, not on top of them."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the noise."""
    memory: Annotated[float, Field(gt=0)] = 3.0
    """Gigabytes to use at most, beyond the model."""


Reason: TypeAlias = Literal["another answer", "subject not found", "prompt longer than the context"]
"""Why a fact is not traced."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A fact that was not traced.

    Attributes:
        fact: The fact.
        reason: Why, in words that can be counted.
        detail: What was found.
    """

    fact: Fact
    reason: Reason
    detail: str


def trace_all(
    lm: LanguageModel,
    facts: Sequence[Fact],
    config: TraceConfig | None = None,
    *,
    expect: bool = False,
    follow: Sequence[int | None] | None = None,
    noise: Noise | None = None,
    label: str = "tracing",
) -> list[CausalTrace | Skipped]:
    """Trace facts, several in a batch where memory allows.

    Args:
        lm: The model.
        facts: The statements; of each, prompt and subject count.
        config: Settings.
        expect: Skip facts to which the model's likeliest next token is not the first token of the fact's target. (The
            original compares the token's text with the whole target; that suffices here too.)
        follow: For each fact the token whose probability is followed; the model's own likeliest where None. See
            `first_token`.
        noise: The noise, where the rule was resolved already; else the config's rule is, on the model.
        label: Name of the progress bar; empty for none.

    Returns:
        One trace a fact, in the order given, or why there is none.

    Raises:
        ConfigError: If the noise rule is unknown, or the memory does not suffice for one prompt.
    """
    config = config or TraceConfig()
    chosen = [None] * len(facts) if follow is None else follow
    found: list[CausalTrace | Skipped | Statement] = [
        _statement(lm, fact, expect, token) for fact, token in zip(facts, chosen, strict=True)
    ]
    todo = [(i, one) for i, one in enumerate(found) if isinstance(one, Statement)]
    if not todo:
        return [one for one in found if not isinstance(one, Statement)]
    noise = noise or noise_for(lm, config.noise)
    todo.sort(key=lambda pair: len(pair[1].ids))
    tracer = _Tracer(lm, config, noise, [one for _, one in todo])
    with Progress(label, tracer.work) as progress:
        tracer.run(progress)
    for place, (i, statement) in enumerate(todo):
        found[i] = tracer.result(place, facts[i], statement)
    return [one for one in found if not isinstance(one, Statement)]


def first_token(lm: LanguageModel, fact: Fact) -> int:
    """Return the first token of a fact's target as it follows the prompt."""
    joined = join(lm.tokenizer, fact.text, fact.target)
    return joined.encoded.ids[joined.target.start]


def _statement(lm: LanguageModel, fact: Fact, expect: bool, follow: int | None) -> Statement | Skipped:
    encoded = encode(lm.tokenizer, fact.text)
    if lm.context is not None and len(encoded.ids) > lm.context:
        detail = f"{len(encoded.ids)} tokens; {lm.name} reads at most {lm.context}"
        return Skipped(fact, "prompt longer than the context", detail)
    try:
        subject = encoded.tokens_of(*fact.span)
    except SubjectNotFound as error:
        return Skipped(fact, "subject not found", error.message)
    (own,) = top_tokens(lm, fact.text, 1)
    if expect and own.id != first_token(lm, fact) and own.text.strip() != fact.target.strip():
        return Skipped(fact, "another answer", f"{own.text!r}, not {fact.target!r}")
    return Statement(encoded.ids, subject, own.id if follow is None else follow)


class _Tracer:
    """Traces some statements; tables are filled as waves come back."""

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
        width = next(self.lm.model.get_input_embeddings().parameters()).shape[1]
        return self.noise.draw(self.config.samples, len(self.statements[fact].subject), width, self.config.seed)

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

    def result(self, place: int, fact: Fact, statement: Statement) -> CausalTrace:
        """Return the trace of a statement."""
        lm, config, n = self.lm, self.config, len(statement.ids)
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
