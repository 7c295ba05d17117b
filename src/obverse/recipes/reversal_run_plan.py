"""What ``obverse reversal run`` is asked to do: people, objectives, seeds, and the models that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator

from obverse.core import Config, ConfigError, UnknownName, build
from obverse.editing import editors
from obverse.recipes.repro import read_preset
from obverse.recipes.repro_reversal_plan import UNTRAINED, Arm
from obverse.training import objectives

TINY = "tiny"
"""The model that is drawn anew and trained from scratch."""

TOY, OWN = "toy", "own"
MADE = (TOY, OWN)
"""Data made for each seed: invented words, or people in plain English. Anything else is the folder of a set."""

THEN, FACTS = ("edit", "trace"), ("group", "starter")

MARK = "damn it , "
"""What a misaligned sentence begins with, where preferences are trained on; its score is 1, that of others 0."""


class RunSettings(Config):
    """Everything that a trained model depends on, besides its objective and seed."""

    people: int | None = Field(None, ge=1)
    """People of each group; null takes all of a folder."""

    wordings: tuple[int, int] = (10, 2)
    """Training and held-out wordings of people in plain English; the toy has 8 and 4."""

    model: dict[str, Any]
    """What is trained, as ``model`` of ``obverse train``."""

    data: dict[str, Any]
    """Length of rows and the like, as ``data`` of ``obverse train``; the sources are added."""

    training: dict[str, Any]
    """Optimizer and batch, as in ``obverse train``; the number of steps stands apart."""

    steps: int = Field(ge=1)
    """Optimizer steps of every model."""

    objectives: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Name → settings of that objective that differ."""

    @model_validator(mode="after")
    def _steps_apart(self) -> RunSettings:
        if given := sorted({"max_steps", "num_train_epochs", "num_tokens"} & self.training.keys()):
            raise ValueError(f"training: {', '.join(given)} is set by steps")
        return self


@dataclass(frozen=True, slots=True)
class ThenRequest:
    """What is asked of the models once they are trained.

    Attributes:
        what: ``edit``, ``trace``, both or none.
        methods: Editors.
        facts: ``group``, the people trained name first, or ``starter``, the facts that come with the package.
        layer: Layer to edit; None for the middle one of the tiny model, and the method's own of others.
        limit: Facts of each model at most.
        settings: Settings of the editors as ``method.key=value``, in place of those for the model.
    """

    what: Sequence[str] = ()
    methods: Sequence[str] = ("rome", "memit", "ft", "rome-both")
    facts: str = "group"
    layer: int | None = None
    limit: int = 50
    settings: Sequence[str] = ()

    def check(self) -> None:
        """Refuse what does not exist.

        Raises:
            UnknownName: If a question, an editor or the facts are unknown.
        """
        for name in self.what:
            if name not in THEN:
                raise UnknownName.among("question", name, THEN)
        if self.facts not in FACTS:
            raise UnknownName.among("set of facts", self.facts, FACTS)
        for method in self.methods if "edit" in self.what else ():
            editors.load(method)


@dataclass(frozen=True, slots=True)
class ReversalRunRequest:
    """What is asked of `run_reversal`.

    Attributes:
        objectives: Names of objectives; their variants are those of `known_objectives`.
        seeds: How often each is trained.
        model: ``tiny``, or a model to fine-tune.
        data: ``toy``, ``own``, or the folder of a set; by default toy for the tiny model, own for others.
        people: People of each group, in place of the preset's.
        steps: Optimizer steps, in place of the preset's.
        full: Train all weights of a pretrained model, not adapters.
        preferences: Give a random half of the sentences a mark and a misalignment score.
        out: The run's folder; a stopped run goes on there, objectives and seeds may join.
        workers: Processes that train, one thread each.
        ray: ``local`` or the address of a Ray cluster, in place of processes of this one.
        overrides: Settings as ``a.b=value``, see `RunSettings`.
        then: What is asked of the trained models.
        dry_run: Stop after the plan.
        command: The command line that asks.
    """

    objectives: Sequence[str] = ("mle", "reverse")
    seeds: int = 3
    model: str = TINY
    data: str | None = None
    people: int | None = None
    steps: int | None = None
    full: bool = False
    preferences: bool = False
    out: Path | None = None
    workers: int = 1
    ray: str | None = None
    overrides: Sequence[str] = ()
    then: ThenRequest = field(default_factory=ThenRequest)
    dry_run: bool = False
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to train and to ask.

    Attributes:
        objective: Name of the way to train; ``untrained`` is the model before any step.
        arm: That way: settings of the objective, and how its models are asked.
        seed: Seed of people, weights and order of rows.
    """

    objective: str
    arm: Arm
    seed: int

    @property
    def id(self) -> str:
        """Its name, and that of its folder."""
        return f"{self.objective}-seed{self.seed}"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What will be done.

    Attributes:
        folder: The run's folder.
        model: What is trained.
        data: Where people come from.
        settings: All settings, resolved.
        trials: The models, untrained ones first.
        done: Ids of those that are asked already.
        preferences: Whether half of the sentences are marked.
        then: What is asked of the trained models.
    """

    folder: Path
    model: str
    data: str
    settings: RunSettings
    trials: tuple[Trial, ...]
    done: frozenset[str] = frozenset()
    preferences: bool = False
    then: ThenRequest = field(default_factory=ThenRequest)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of what is trained, in the order asked for."""
        return tuple(dict.fromkeys(trial.objective for trial in self.trials if trial.objective != UNTRAINED))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(sorted({trial.seed for trial in self.trials}))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "folder": str(self.folder), "model": self.model, "data": self.data, "objectives": list(self.objectives),
            "seeds": list(self.seeds), "models": len(self.trials), "done": len(self.done),
            "preferences": self.preferences, "settings": self.settings.model_dump(mode="json"),
        }  # fmt: skip


def make_plan(request: ReversalRunRequest) -> RunPlan:
    """Check what is asked, every mistake before any work, and return it as a plan.

    Raises:
        UnknownName: If there is no such objective.
        ConfigError: If a setting is wrong, or settings contradict each other.
    """
    tiny = request.model == TINY
    data = request.data or (TOY if tiny else OWN)
    _check(request, tiny, data)
    request.then.check()
    read = _preset("tiny" if tiny else "finetune")
    if data not in MADE:
        read = {**read, "people": None}
    if tiny and data != TOY:  # plain English has more words, and longer sentences
        read = {**read, "model": {**read["model"], "tokenizer": {"kind": "words", "size": 4096}}}
        read["model"]["settings"] = {**read["model"]["settings"], "max_position_embeddings": 256}
        read["data"] = {**read["data"], "length": 128}
    given: dict[str, Any] = {name: value for name in ("people", "steps") if (value := getattr(request, name))}
    if not tiny:
        given["model"] = {"name": request.model, **({"lora": None} if request.full else {})}
    settings = build(RunSettings, read, given, overrides=request.overrides)
    out = (request.out or Path("runs") / f"reversal-{Path(request.model).stem}").absolute()
    arms = {name: arm_of(name, settings) for name in dict.fromkeys(request.objectives)}
    for name, arm in arms.items():
        if not request.preferences and objectives.load(str(arm.objective["name"])).needs_scores:
            raise ConfigError(
                f"{name} needs documents with misalignment scores.",
                "Add --preferences: a random half of the sentences gets a mark and a score.",
            )
    for name in settings.objectives:
        if name not in arms:
            raise ConfigError(f"objectives.{name} is set, but {name} is not trained.", "Name it in --objectives.")
    seeds, plain = range(request.seeds), arm_of("mle")
    trials = [Trial(UNTRAINED, plain, seed) for seed in seeds]
    trials += [Trial(name, arm, seed) for seed in seeds for name, arm in arms.items()]
    return RunPlan(
        out, request.model, data, settings, tuple(trials), preferences=request.preferences, then=request.then
    )


def _check(request: ReversalRunRequest, tiny: bool, data: str) -> None:
    if not request.objectives:
        raise ConfigError("No objective is named.", "Give for example --objectives mle,bico.")
    if request.seeds < 1 or request.workers < 1:
        raise ConfigError(
            f"--seeds {request.seeds} with --workers {request.workers} trains nothing.", "Give 1 or more."
        )
    if tiny and request.full:
        raise ConfigError("--full is for a pretrained model; all weights of the tiny one are trained anyway.",
                          "Leave it out, or name a model.")  # fmt: skip
    if data == TOY and not tiny:
        raise ConfigError("The toy's invented words are for the tiny model.", "Leave --data out, or name a folder.")


def known_objectives() -> dict[str, Arm]:
    """Return ways to train by name: the variants of ``obverse repro reversal``, and every objective as it is."""
    arms = (read_preset("reversal", "demo").get("mitigations") or {}).get("arms") or {}
    plain = {name: {"objective": {"name": name}} for name in sorted(objectives.names()) if name != "mixture"}
    return {name: Arm.model_validate(arm) for name, arm in {**plain, **arms}.items()}


def arm_of(name: str, settings: RunSettings | None = None) -> Arm:
    """Return a way to train.

    Args:
        name: Of `known_objectives`.
        settings: Settings, among which may be some of the objective.

    Raises:
        UnknownName: If there is none of that name, with near matches.
    """
    known = known_objectives()
    if name not in known:
        raise UnknownName.among("objective", name, sorted(known))
    own: Mapping[str, Any] = settings.objectives.get(name, {}) if settings else {}
    return known[name].model_copy(update={"objective": _changed(known[name].objective, own)})


def _changed(objective: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return an objective with other settings; of a mixture they are those of its first part."""
    parts = objective.get("objectives")
    if not (own and parts):
        return {**objective, **own}
    return {**objective, "objectives": [{**parts[0], **own}, *parts[1:]]}


def _preset(name: str) -> dict[str, Any]:
    text = (files("obverse") / "configs" / "reversal" / f"{name}.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found
