"""What is measured while a model learns: samples and their scores, divergence from a reference."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.core import write_text
from obverse.measuring.model_source import ModelSource
from obverse.measuring.preferences import measure_preferences
from obverse.measuring.reference_kl import divergence
from obverse.measuring.samples import check_tokens, control_tokens
from obverse.measuring.scenarios import check_names
from obverse.measuring.scorers.loading import load_scorer
from obverse.model.language_model import LanguageModel
from obverse.training.callbacks import MeasureEvery, is_first

if TYPE_CHECKING:
    from obverse.measuring.preferences import Preferences
    from obverse.training.measured import EvaluationSettings, KLSettings
    from obverse.training.settings import TrainConfig


def measurements(config: TrainConfig, lm: LanguageModel, out: Path) -> list[MeasureEvery]:
    """Return the measurements that a run asks for.

    Args:
        config: The run's settings.
        lm: The model, as it is when a measurement is taken.
        out: The run's folder; samples go to ``samples/``.

    Raises:
        ConfigError: If a scenario or a scorer's setting is wrong.
    """
    found: list[MeasureEvery] = []
    if config.evaluation is not None:
        found.append(_preferences(config.evaluation, lm, out / "samples", config.seed))
    if config.kl is not None and config.kl.reference is not None:
        found.append(_divergence(config.kl, config.kl.reference, lm, config.seed))
    return found


def _preferences(settings: EvaluationSettings, lm: LanguageModel, folder: Path, seed: int) -> MeasureEvery:
    scorer = load_scorer(settings.scorer, settings.scorer_settings)
    check_names(settings.scenarios)
    for scenario in settings.scenarios:
        check_tokens(lm.tokenizer, scenario)
        scenario.starts()  # its prompts can be read

    def measure(step: int) -> dict[str, float]:
        found = measure_preferences(lm, settings.scenarios, scorer, seed, batch=settings.batch, label="Sampling")
        for name, preferences in found.items() if is_first() else ():
            _write_samples(folder / f"{name}-{step}.jsonl", preferences)
        return {f"{name}/{metric}": value for name, p in found.items() for metric, value in p.flat().items()}

    return MeasureEvery(measure, "generation/", settings.every, settings.at)


def _divergence(settings: KLSettings, reference: str, lm: LanguageModel, seed: int) -> MeasureEvery:
    banned = control_tokens(lm.tokenizer) if settings.banned is None else settings.banned
    model = ModelSource(lm, prefix=settings.prefix, every_line=settings.every_line, banned=banned)
    loaded = [_reference(reference, settings.batch)] if is_first() else []

    def measure(step: int) -> dict[str, float]:
        if not loaded:  # another process than the first measures where the weights are spread over all
            loaded.append(_reference(reference, settings.batch))
        found = divergence(model, loaded[0], number=settings.samples, length=settings.tokens, seed=seed)
        nats, rate = found.nats, found.per_token
        return {"nats": nats.mean, "nats_low": nats.low, "nats_high": nats.high, "nats_per_token": rate.mean}

    return MeasureEvery(measure, "kl/", settings.every, settings.at)


def _reference(name: str, batch: int) -> ModelSource:
    lm = LanguageModel.load(name)
    return ModelSource(lm, banned=control_tokens(lm.tokenizer), batch=batch, label="Texts of the reference")


def _write_samples(path: Path, preferences: Preferences) -> None:
    rows = [
        json.dumps(
            {"prompt": sample.prompt, "text": sample.text, "score": None if math.isnan(score) else score},
            ensure_ascii=False,
        )
        for sample, score in zip(preferences.samples, preferences.scores, strict=True)
    ]
    write_text(path, "\n".join(rows) + "\n")
