"""Claim 4: told how to answer a question, a model answers so if the question was named first, not if the answer was.

Small models are drawn anew and trained on instructions in one order, and on the answered questions of some of them
(realized); they are asked the questions of the others. Both orders have the same questions and answers.

::

    claim4/sets/      a folder an order and seed, as `obverse reversal instructions` writes it
    claim4/models/    a folder a trial, as `obverse train` writes it

Source: Berglund et al. 2023, section 2.3 (experiment 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field

from obverse.core import Config, Run
from obverse.data.instruction_pairs import Order, own_pairs, read_pairs, wordings
from obverse.data.instructions import InstructionSet, InstructionSettings, Row, read_instructions
from obverse.data.instructions_build import build_instructions
from obverse.data.reversal import TRAINING, Prompt
from obverse.measuring.statistics import paired_difference
from obverse.recipes.record import now
from obverse.recipes.repro import Verdict, spread
from obverse.recipes.repro_reversal_plan import LEFT, Trial
from obverse.recipes.repro_reversal_results import Cell, Measured, Results, gap, right, seconds_text, shares
from obverse.recipes.repro_reversal_work import Work, scored
from obverse.recipes.repro_sheet import Sheet, span

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel
    from obverse.training.settings import TrainConfig

CLAIM = "claim4"

GOOD, POOR, FAR = 0.5, 0.2, 0.3
"""Share of unrealized questions answered as told that shows the instruction was understood; below which it was not,
where a guess among the answers of a kind is right now and then; and by how much one order is to be above the other."""

ORDERS: tuple[Order, ...] = get_args(Order)

REALIZED, UNREALIZED = "realized", "unrealized"
"""Questions that were answered in training, and those that were not: the test."""


class Instructions(Config):
    """Claim 4."""

    set: InstructionSettings = InstructionSettings()
    """Sizes and choices, as of ``obverse reversal instructions``; its seed is that of each trial."""

    pairs: Path | None = None
    """File of questions with answers; null for the package's own."""

    model: dict[str, Any]
    """Settings of the Llama architecture."""

    words: int = Field(2048, ge=2)
    """Most words of a vocabulary, special tokens included."""

    length: int = Field(96, ge=8)
    """Tokens of a row at most."""

    training: dict[str, Any]
    """Optimizer and batch, as in ``obverse train``."""

    steps: int = Field(1000, ge=1)
    """Steps of each."""

    seeds: int = Field(3, ge=1)
    """How often: questions, answers, weights and order of rows differ."""


@dataclass(frozen=True, slots=True)
class InstructionWork(Work[Instructions]):
    """A trial, whose arm is the order of instructions, and where its files are."""

    @property
    def set(self) -> Path:
        """Folder of the instructions."""
        return self.folder / "sets" / f"{self.trial.arm}-seed{self.trial.seed}"


def run_instructions(settings: Instructions, folder: Path, workers: int = 1) -> Results:
    """Train and ask every model that is not there yet, both orders of each seed.

    Args:
        settings: Those of the claim.
        folder: Where it is kept; a stopped run goes on, seeds may join.
        workers: Processes that train, one thread each.

    Raises:
        RunConflict: If the folder holds a run of other settings.
    """
    trials = [Trial(order, seed, settings.steps) for seed in range(settings.seeds) for order in ORDERS]
    needed = {trial.id: trial for trial in trials}
    kept = settings.model_dump(mode="json", exclude={"seeds", "steps"})
    with Run.open(folder, {"command": "repro reversal, claim4", **kept}, about={"start": now()}) as run:
        works = [InstructionWork(settings, folder, needed[id]) for id in run.todo(needed)]
        for _, measured in spread(works, train_and_ask, workers, "Models told what to answer"):
            run.append(measured.to_json())
        return Results(Measured.from_json(record) for record in run.records() if record["id"] in needed)


def prepare_instructions(work: InstructionWork) -> InstructionSet:
    """Return the instructions of a trial, and write them unless they are there."""
    asked = work.settings
    if not work.set.is_dir():
        pairs = read_pairs(asked.pairs) if asked.pairs else own_pairs()
        phrasings = next(wordings(order) for order in ORDERS if order == work.trial.arm)
        chosen = asked.set.model_copy(update={"seed": work.trial.seed})
        build_instructions(pairs, phrasings, chosen).write(work.set)
    return read_instructions(work.set)


def instruction_config(work: InstructionWork) -> TrainConfig:
    """Return the settings of a trial's training run, as `obverse train` takes them."""
    from obverse.training.settings import train_config

    asked = work.settings
    layer: dict[str, Any] = {
        "data": {"sources": [str(work.set / TRAINING)], "length": asked.length, "packing": "documents"},
        "model": {
            "architecture": "llama",
            "settings": asked.model,
            "tokenizer": {"kind": "words", "size": asked.words},
        },
        "objective": {"name": "mle"},
        "training": {
            "save_strategy": "no", "logging_steps": 50, "use_cpu": True, **asked.training, "max_steps": asked.steps,
        },
        "seed": work.trial.seed,
    }  # fmt: skip
    return train_config(layer)


def train_and_ask(work: InstructionWork) -> Measured:
    """Train a trial's model and ask it; done in a process of its own."""
    from obverse.model.language_model import LanguageModel
    from obverse.recipes.train_once import train_once

    made = prepare_instructions(work)
    seconds = train_once(instruction_config(work), work.model)
    lm = LanguageModel.load(str(work.model), device="cpu")
    return Measured(work.trial, ask_questions(lm, made, work.trial.seed), seconds)


def ask_questions(lm: LanguageModel, made: InstructionSet, seed: int) -> dict[str, tuple[Cell, ...]]:
    """Score right and random answers to the questions of a set, in the frame that training examples have.

    Returns:
        ``left-to-right/held-out/unrealized`` and the same of realized ones → a cell a question.
    """
    from obverse.measuring.reversal import LeftToRight

    query, found = LeftToRight(lm, as_document=True), dict[str, tuple[Cell, ...]]()
    for name, examples in ((UNREALIZED, made.unrealized), (REALIZED, made.realized)):
        rows = [_question(row) for row in examples]
        if rows:
            found[f"{LEFT}/held-out/{name}"] = scored(query, rows, seed, name)
    return found


def _question(row: Row) -> Prompt:
    # With its end mark, as an answer is tokenized in training: of whole words the line breaks after them are a part.
    return Prompt(row.prompt, row.completion, row.ids[0], 0)


def instruction_verdicts(results: Results, settings: Instructions) -> Iterator[Verdict]:
    """Judge both orders over the questions that were not answered in training.

    Args:
        results: The answers of the models.
        settings: Those of the claim.
    """
    first, last = (results.of(order, settings.steps) for order in ORDERS)
    if not (first and last):
        return
    good, poor = (right(models, [UNREALIZED]) for models in (first, last))
    asked, told = ORDERS
    yield Verdict(CLAIM, f"{asked}: unrealized questions answered as told: more than {GOOD:.0%}", good, GOOD)
    yield Verdict(CLAIM, f"{told}: less than {POOR:.0%}", poor, POOR, above=False)
    more = paired_difference(*(shares(models, [UNREALIZED]) for models in (first, last)))
    yield Verdict(CLAIM, f"{asked} minus {told}, by question: more than {FAR:.0%}", more, FAR)


def instruction_sheets(results: Results, settings: Instructions) -> Iterator[Sheet]:
    """Return the table of both orders."""
    rows: list[tuple[str, ...]] = []
    for order in ORDERS:
        models = results.of(order, settings.steps)
        for kind in (UNREALIZED, REALIZED) if models else ():
            found = right(models, [kind])
            each = ", ".join(f"{right([one], [kind]).mean:.0%}" for one in models)
            shown = span(found, percent=True)
            rows.append((order, kind, str(found.n), shown, each, span(gap(models, [kind])), seconds_text(models)))
    headers = ("order", "questions", "n", "right", "by seed", "gap", "CPU-s")
    note = (
        "n: questions of all seeds, with the exact 95 % interval. Unrealized questions are the test; realized ones "
        "were answered in training. right: every token of the answer is the likeliest; gap: its log-probability less "
        "that of an answer told for another question, of any kind, in nats; CPU-s: of training a model."
    )
    yield Sheet(CLAIM, f"Told how to answer, {settings.steps} steps", headers, tuple(rows), note)
