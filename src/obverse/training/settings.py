"""Everything a training run depends on, as one frozen tree of settings.

A run's settings are a task (data, model, budget, evaluation), then a method (objective, what it changes), then
overrides; `train_config` merges and checks them, every mistake at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, create_model, model_validator

from obverse.core import Config, ConfigError, UnknownName, build
from obverse.training import objectives
from obverse.training.budget import PLAIN, TrainingSettings, training_type
from obverse.training.measured import EvaluationSettings, KLSettings
from obverse.training.packing import PackSettings


class DataSettings(PackSettings):
    """What is read, and how it becomes rows."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Files, folders or hub data sets, read one after the other."""

    scorer: str | None = None
    """Scorer for a corpus without scores, if the objective needs them: a name, ``package.module:Class`` or
    ``file.py:Class``. A corpus that has scores keeps them."""

    scorer_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of that scorer."""

    split: Literal["sentences", "lines", "none"] | None = None
    """How that scorer cuts a document; its own way if null."""

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, given: Any) -> Any:
        sources = given.get("sources") if isinstance(given, Mapping) else None
        return {**given, "sources": [sources]} if isinstance(sources, str) else given

    @property
    def pack(self) -> PackSettings:
        """What the rows depend on."""
        return PackSettings(**self.model_dump(include=set(PackSettings.model_fields), exclude_unset=True))


class TokenizerSettings(Config):
    """A tokenizer that is trained on the corpus, so that nothing is fetched."""

    kind: Literal["bpe", "words"] = "bpe"
    """``bpe``: byte-level byte-pair encoding. ``words``: words and punctuation whole, for toy data."""

    size: int = Field(1024, ge=2)
    """Vocabulary, special tokens included; byte-level BPE needs 257."""


class LoraSettings(Config):
    """Low-rank adapters (Hu et al. 2022) in place of the weights."""

    rank: int = Field(16, ge=1)
    """Rank of an adapter."""

    alpha: float = Field(32, gt=0)
    """Scale: an adapter is multiplied by alpha / rank."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of an adapter's input."""

    modules: str | tuple[str, ...] = "all-linear"
    """Names of the modules that get one, as PEFT reads them; all linear ones by default."""

    merge: bool = False
    """Whether to save the merged model too, so that other commands can load the folder."""


class ModelSettings(Config):
    """What is trained. Give ``name``, or ``architecture`` and ``tokenizer``."""

    name: str | None = None
    """A built-in model, a GGUF file, a folder or a hub id; the default model if there is no ``architecture`` either."""

    revision: str | None = None
    """Branch, tag or commit of a hub model."""

    from_scratch: bool = False
    """Whether the named model gives its shape and tokenizer only, and the weights are drawn anew."""

    architecture: str | None = None
    """A family of transformers (``model_type``: gpt2, llama, ...), with weights drawn anew."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model's config that differ, e.g. ``{n_layer: 2}``; only for weights drawn anew."""

    tokenizer: str | TokenizerSettings | None = None
    """A model's name or folder, or a tokenizer to train; that of ``name`` by default."""

    dtype: str = "float32"
    """Type of the weights. Mixed precision is ``training.bf16``."""

    lora: LoraSettings | None = None
    """Train adapters; null trains every weight."""

    last_blocks: int | None = Field(default=None, ge=1)
    """Train only the weights of so many blocks, counted from the last; null trains every weight. What lies below needs
    no backward pass."""

    trust_remote_code: bool = False
    """Run code that comes with the model; only for models you trust."""

    @model_validator(mode="after")
    def _one_start(self) -> ModelSettings:
        if self.name is not None and self.architecture is not None:
            raise ValueError("give name or architecture, not both")
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("an architecture needs a tokenizer: a name, a folder, or {kind: bpe, size: 1024}")
        if self.settings and not self.drawn:
            raise ValueError("settings of the model's config need from_scratch: true or an architecture")
        if self.lora is not None and self.last_blocks is not None:
            raise ValueError("give lora or last_blocks, not both; lora.modules names the blocks that get adapters")
        return self

    @property
    def drawn(self) -> bool:
        """Whether the weights are drawn anew."""
        return self.from_scratch or self.architecture is not None


class TrainConfig(Config):
    """Everything a training run depends on."""

    data: DataSettings
    """What is read."""

    model: ModelSettings = ModelSettings()
    """What is trained."""

    objective: Config
    """``name``, and the settings of the objective of that name."""

    training: TrainingSettings = TrainingSettings()
    """Budget and optimizer."""

    evaluation: EvaluationSettings | None = None
    """What is sampled and scored on the way; null for nothing."""

    kl: KLSettings | None = None
    """Divergence from a reference; null for none."""

    seed: int = 42
    """Seed of everything that is drawn (published: 42)."""

    report_to: tuple[str, ...] = ()
    """Trackers: tensorboard, wandb, mlflow, trackio, ..."""

    @model_validator(mode="before")
    @classmethod
    def _objective_by_name(cls, given: Any) -> Any:
        name = given.get("objective") if isinstance(given, Mapping) else None
        return {**given, "objective": {"name": name}} if isinstance(name, str) else given

    @property
    def objective_name(self) -> str:
        """Name of the objective."""
        return str(self.objective.model_dump()["name"])

    @property
    def resolved(self) -> dict[str, Any]:
        """Everything that the run depends on, as JSON values; of ``TrainingArguments`` what was given."""
        own = self.training.model_dump(mode="json", include=set(TrainingSettings.model_fields))
        training = self.training.model_dump(mode="json", exclude_unset=True)
        return {**self.model_dump(mode="json"), "training": {**own, **training}}

    @property
    def objective_settings(self) -> Config:
        """Settings of the objective, in its own type."""
        own: type[Config] = objectives.load(self.objective_name).config_type
        return own.model_validate(self.objective.model_dump(exclude={"name"}, exclude_unset=True))


SECTIONS = tuple(TrainConfig.model_fields)
"""Parts of the settings, in the order in which they are shown."""


def train_config(*layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> TrainConfig:
    """Merge settings, later ones winning and lists replaced whole, into the config of a run.

    Args:
        layers: Mappings of settings: a task, then a method.
        overrides: Texts of the form ``a.b=value``, applied last.

    Raises:
        ConfigError: With every mistake in one message.
        UnknownName: If there is no objective of that name.
    """
    name = _objective_name(build(_Loose, *layers, overrides=overrides).objective)
    try:
        own, unknown = objectives.load(name).config_type, None
    except UnknownName as error:
        own, unknown = _Loose, error
    named: Any = (Literal[name], name)
    chosen = create_model("ObjectiveSettings", __base__=own, __cls_kwargs__=PLAIN, name=named)
    settings_type = create_model(
        "TrainConfig",
        __base__=TrainConfig,
        __cls_kwargs__=PLAIN,
        objective=(chosen, Field(default_factory=chosen)),
        training=(training_type(), TrainingSettings()),
    )
    try:
        config = build(settings_type, *layers, overrides=overrides)
    except ConfigError as error:
        given = build(_Loose, *layers, overrides=overrides).objective
        first = f"{unknown.message} {unknown.hint}\n" if unknown else ""
        raise ConfigError(first + error.message, _owners(own, given) + error.hint) from error
    if unknown:
        raise unknown
    return _after_control_tokens(config)


def _owners(own: type[Config], given: Any) -> str:
    """Say which other objectives have the settings that one does not have."""
    types = {name: objectives.load(name).config_type for name in objectives.names()}
    strange = sorted({*given} - {"name", *own.model_fields}) if isinstance(given, Mapping) and own is not _Loose else ()
    having = {key: [name for name, kind in types.items() if key in kind.model_fields] for key in strange}
    return "".join(f"{key} is a setting of {' and '.join(names)}. " for key, names in having.items() if names)


def _after_control_tokens(config: TrainConfig) -> TrainConfig:
    """Let samples follow the aligned token, where the objective has control tokens and nothing else is said."""
    aligned, misaligned = (getattr(config.objective, f"{kind}_prefix", None) for kind in ("aligned", "misaligned"))
    if aligned is None or misaligned is None:
        return config
    update = {
        name: section and section.after(aligned, (aligned, misaligned))
        for name, section in (("evaluation", config.evaluation), ("kl", config.kl))
    }
    return config.model_copy(update=update)


class _Loose(Config, extra="ignore"):
    objective: Any = None


def _objective_name(given: Any) -> str:
    name = given.get("name", "mle") if isinstance(given, Mapping) else given or "mle"
    if not isinstance(name, str):
        raise ConfigError(
            f"objective: {given!r} has no name.", "Write for example objective: {name: conditional, threshold: 0}."
        )
    return name
