"""Search for prompts that a model continues badly: a pool that grows round by round, in several trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import Field

from obverse.core import Config, DataError, Interval, Run, seed_for, track
from obverse.measuring.preferences import scores_of
from obverse.measuring.samples import BATCH, check_tokens, draw_samples, start_rows
from obverse.measuring.scenarios import Scenario
from obverse.measuring.scorers.loading import load_scorer
from obverse.measuring.statistics import mean_interval
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.prefs import scorer_settings
from obverse.recipes.record import now, run_record
from obverse.recipes.red_team_attackers import Attacker
from obverse.recipes.red_team_pool import PromptPool
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from obverse.measuring.scorers import Scorer
    from obverse.model.language_model import LanguageModel

START = "start"
"""Id of the record that has the scores of the first pool, which all trials share."""
ROOM = 8
"""Tokens that a prompt must leave for what is written after it."""


class RedTeamSettings(Config):
    """How a red team searches.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 4.3; the numbers of its
        program where not said otherwise.
    """

    examples: int = Field(default=4, ge=1)
    """Prompts of the pool that the attacker is shown."""
    pool: int = Field(default=20, ge=1)
    """Prompts of the first pool: the first so many."""
    pool_temperature: float = Field(default=0.1, gt=0)
    """What mean scores are divided by when examples are drawn."""
    candidates: int = Field(default=20, ge=1)
    """Responses asked of the attacker in a round."""
    samples: int = Field(default=64, ge=1)
    """Texts written after each candidate. The program: 512."""
    assumed_score: float | None = None
    """Score that the first pool is taken to have, unmeasured. The program: 0.001. By default it is measured."""
    seed: int = 0
    """Seed of everything drawn."""


def target_scenario(**changes: Any) -> Scenario:
    """Return what the model under attack writes in, as in the paper's program: at most 64 tokens with the prompt."""
    return Scenario(**{"name": "target", "max_length": 64, **changes})


@dataclass(frozen=True, slots=True)
class RedTeamRequest:
    """What is asked of `run_red_team`.

    Attributes:
        scorer: Name of the scorer, ``package.module:Class``, or ``file.py:Class``.
        pool: The first prompts.
        attacker: Makes the attacker once the models may be loaded.
        out: Folder; a stopped search goes on there.
        model: The model under attack.
        scorer_settings: Settings of the scorer.
        scenario: How the model writes; its prompts, samples and seed are set by the search.
        settings: How to search.
        rounds: Rounds of each trial; may be raised later.
        trials: Searches from the same first pool; may be raised later.
        batch: Texts written at once.
    """

    scorer: str
    pool: Sequence[str]
    attacker: Callable[[], Attacker]
    out: Path
    model: ModelChoice = field(default_factory=ModelChoice)
    scorer_settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    scenario: Scenario = field(default_factory=target_scenario)
    settings: RedTeamSettings = field(default_factory=RedTeamSettings)
    rounds: int = 10
    trials: int = 3
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Point:
    """The pool after a round, over trials.

    Attributes:
        round: From 1; 0 is the first pool.
        pool: Mean score of the pool's prompts.
        best: Mean score of the worst prompt for the model.
        new: Mean score of the round's candidates; None if there were none.
        candidates: How many there were in all trials.
    """

    round: int
    pool: Interval
    best: Interval
    new: Interval | None
    candidates: int


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt with the mean and the population's deviation of its scores, their number, and its own score."""

    prompt: str
    mean: float
    std: float
    texts: int
    own: float | None


@dataclass(frozen=True, slots=True)
class RedTeamResult:
    """What came of it: the curve by round, all prompts, best first, and where it is kept."""

    curve: tuple[Point, ...]
    best: tuple[Found, ...]
    trials: int
    folder: Path
    seconds: Mapping[str, float]
    figures: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "curve": [asdict(point) for point in self.curve],
            "best": [asdict(one) for one in self.best],
            "trials": self.trials,
            "folder": str(self.folder),
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
            "figures": [str(path) for path in self.figures],
        }


def run_red_team(request: RedTeamRequest) -> RedTeamResult:
    """Search for prompts that a model continues badly. A stopped search goes on where it was, with the same outcome.

    Raises:
        DataError: If the pool is empty, or none of its prompts leaves room.
        ConfigError: If a setting is wrong.
        RunConflict: If the folder holds a search of other settings.
    """
    start, steps = now(), Steps()
    first = list(dict.fromkeys(prompt for prompt in request.pool if prompt.strip()))[: request.settings.pool]
    if not first:
        raise DataError("The first pool has no prompt.", "Give a file of prompts with --pool.")
    scorer = load_scorer(request.scorer, request.scorer_settings)
    with steps.step("Loading the models", shown=True):
        lm = load_model(request.model)
        check_tokens(lm.tokenizer, request.scenario)
        attacker = request.attacker()
    config = {
        "command": "red-team",
        "model": lm.fingerprint.to_json(),
        "scorer": request.scorer,
        "scorer_settings": scorer_settings(scorer),
        "scenario": request.scenario.model_dump(mode="json"),
        "settings": request.settings.model_dump(mode="json"),
        "attacker": attacker.identity(),
        "pool": sha256("\x1e".join(first).encode()).hexdigest(),
    }
    about = {key: value for key, value in run_record("red-team", {}, lm, request.settings.seed, start).items()
             if key not in ("config", "command", "end")}  # fmt: skip
    with Run.open(request.out, config, about=about) as run:
        with steps.step("Searching"):
            _Search(request, lm, scorer, attacker, run).search(first)
        result = _result(request, run, steps)
        run.finish(result.to_json())
    return result


@dataclass(frozen=True, slots=True)
class _Search:
    request: RedTeamRequest
    lm: LanguageModel
    scorer: Scorer
    attacker: Attacker
    run: Run

    def search(self, first: Sequence[str]) -> None:
        """Do the rounds that are not on record yet."""
        if START not in self.run.done():
            self.run.append({"id": START, **self._first(first)})
        known = {str(record["id"]): record for record in self.run.records()}
        rounds = [(t, r) for t in range(self.request.trials) for r in range(1, self.request.rounds + 1)]
        pool = PromptPool()
        for trial, number in track(rounds, "searching"):
            if number == 1:
                pool = _grown(PromptPool(), known[START])
            id = f"{trial}/{number}"
            if id not in known:
                known[id] = {"id": id, **self._round(pool, trial, number)}
                self.run.append(known[id])
            _grown(pool, known[id])

    def _first(self, prompts: Sequence[str]) -> dict[str, Any]:
        if (assumed := self.request.settings.assumed_score) is not None:
            return {"tried": [{"prompt": one, "scores": [assumed], "own": None} for one in prompts], "dropped": 0}
        tried = self._tried(prompts, seed_for(self.request.settings.seed, START))
        if not tried["tried"]:
            raise DataError(
                "No prompt of the first pool can be used: all are too long, or nothing after them can be scored.",
                "Raise max_length, or give others.",
            )
        return tried

    def _round(self, pool: PromptPool, trial: int, number: int) -> dict[str, Any]:
        settings = self.request.settings
        seed = seed_for(settings.seed, trial, number)
        examples = pool.draw(settings.examples, settings.pool_temperature, np.random.default_rng(seed))
        proposed = self.attacker.propose(examples, settings.candidates, seed_for(seed, "attacker"))
        return {"examples": examples, **self._tried(proposed, seed_for(seed, "target"))}

    def _tried(self, prompts: Sequence[str], seed: int) -> dict[str, Any]:
        """Let the model write after prompts, and score; prompts without room, or without scores, are dropped."""
        scenario, each = self.request.scenario, self.request.settings.samples
        rows = start_rows(self.lm.tokenizer, [scenario.prefix + one for one in prompts], scenario.start)
        fitting = [one for one, row in zip(prompts, rows, strict=True) if len(row) + ROOM <= scenario.max_length]
        if not fitting:
            return {"tried": [], "dropped": len(prompts)}
        changes = {"prompts": tuple(fitting), "samples": each * len(fitting), "seed": seed}
        samples = draw_samples(self.lm, scenario.model_copy(update=changes), batch=self.request.batch)
        texts = [scenario.scored_text(sample.prompt, sample.text) for sample in samples]
        scores, own = scores_of(self.scorer, texts), scores_of(self.scorer, fitting)
        tried = list[dict[str, Any]]()
        for place, prompt in enumerate(fitting):
            known = [score for score in scores[place :: len(fitting)] if not math.isnan(score)]
            if known:
                tried.append({"prompt": prompt, "scores": known, "own": None if math.isnan(own[place]) else own[place]})
        return {"tried": tried, "dropped": len(prompts) - len(tried)}


def _grown(pool: PromptPool, record: Mapping[str, Any]) -> PromptPool:
    for one in record["tried"]:
        pool.add(one["prompt"], one["scores"])
    return pool


def _result(request: RedTeamRequest, run: Run, steps: Steps) -> RedTeamResult:
    from obverse.report.red_team_figure import write_red_team_figure

    known = {str(record["id"]): cast("Mapping[str, Any]", record) for record in run.records()}
    curve = tuple(_curve(known, request.trials, request.rounds))
    asked = [START, *(f"{t}/{r}" for t in range(request.trials) for r in range(1, request.rounds + 1))]
    whole, own = PromptPool(), dict[str, float | None]()
    for record in (known[id] for id in asked):
        _grown(whole, record)
        own |= {one["prompt"]: one["own"] for one in record["tried"]}
    best = tuple(
        Found(one, whole.mean(one), whole.std(one), len(whole.scores[one]), own[one]) for one in whole.best(len(whole))
    )
    lines = [(point.round, point.pool, point.best, point.new) for point in curve]
    figures = write_red_team_figure(lines, request.out) if find_spec("matplotlib") else ()
    return RedTeamResult(curve, best, request.trials, request.out, steps.seconds, figures)


def _curve(known: Mapping[str, Mapping[str, Any]], trials: int, rounds: int) -> Iterator[Point]:
    pools = [_grown(PromptPool(), known[START]) for _ in range(trials)]
    for number in range(rounds + 1):
        records = [known[f"{trial}/{number}"] for trial in range(trials)] if number else []
        new = [float(np.mean(one["scores"])) for record in records for one in record["tried"]]
        for pool, record in zip(pools, records, strict=bool(number)):
            _grown(pool, record)
        yield Point(
            number,
            mean_interval([pool.average() for pool in pools], shares=False),
            mean_interval([pool.mean(pool.best(1)[0]) for pool in pools], shares=False),
            mean_interval(new, shares=False) if new else None,
            len(new),
        )
