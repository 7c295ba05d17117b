"""A model's profile: which layer to edit, measured by editing a sample of facts at every layer.

A profile is made by ``obverse sweep-layers``, kept as one JSON file a model and method, and read by ``--layer auto``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError, DataError, Interval, JsonValue, cache_dir, parse_override, write_whole
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

AUTO = "auto"
"""Value of the setting ``layers`` that asks for the measured layer."""

FORMAT = 1
"""Version of the file; a reader refuses another one."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What edits came to: means over facts with 95 % intervals, shares from 0 to 1, higher is better.

    Attributes:
        score: Harmonic mean of the next three (ROME's S).
        efficacy: Share of edits whose prompt gives the new answer (ES).
        generalization: The same of paraphrases (PS).
        specificity: Share of neighbouring facts that keep their answer (NS).
        reverse: Share of reverse questions that hold; None where no fact has one.
    """

    score: Interval
    efficacy: Interval
    generalization: Interval
    specificity: Interval
    reverse: Interval | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """How well a causal trace of the same facts told which layer is best to edit.

    Attributes:
        kind: What was restored: ``mlp`` (a window of layers) or ``hidden``.
        effects: Layer → mean indirect effect at the last subject token, over facts.
        correlation: Spearman's rank correlation of these effects with S over layers; n is the number of layers, the
            interval is a bootstrap over facts. None where one of them is the same at all layers.
        choice: The layer with the largest effect.
        loss: S at the best layer less S at that one, over facts.
    """

    kind: str
    effects: Mapping[int, Interval]
    correlation: Interval | None
    choice: int
    loss: Interval


@dataclass(frozen=True, slots=True)
class Profile:
    """Where to edit one model by one method.

    Attributes:
        model: Name of the model.
        fingerprint: What model it is.
        method: Name of the editor.
        settings: Its settings, resolved, without the layers.
        n_layers: Layers of the model.
        best: The layer to edit.
        alike: Layers that the facts cannot tell from the best one, itself among them.
        table: Layer → what edits there came to.
        unedited: The same of the unedited model.
        facts: Number of facts.
        facts_hash: SHA-256 of the facts and their probes, in hexadecimal.
        source: Where the facts are from.
        predictions: How well tracing told; empty if nothing was traced.
        version: Version of obverse.
        date: When it was measured, in UTC.
    """

    model: str
    fingerprint: Fingerprint
    method: str
    settings: Mapping[str, JsonValue]
    n_layers: int
    best: int
    alike: tuple[int, ...]
    table: Mapping[int, Scores]
    unedited: Scores
    facts: int
    facts_hash: str
    source: str
    predictions: tuple[Prediction, ...]
    version: str
    date: str

    def __str__(self) -> str:
        """Return in a line what it rests on, e.g. ``measured profile of 2026-11-21, 8 facts at 18 of 18 layers``."""
        return (
            f"measured profile of {self.date[:10]}, {self.facts} facts at {len(self.table)} of {self.n_layers} layers"
        )

    def differences(self, settings: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Return the names of the settings that differ from those it was measured with, layers aside."""
        names = (self.settings.keys() | settings.keys()) - {"layers"}
        return tuple(sorted(name for name in names if self.settings.get(name) != settings.get(name)))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "obverse_profile": FORMAT,
            **asdict(replace(self, table={}, predictions=())),
            "table": {str(layer): asdict(scores) for layer, scores in self.table.items()},
            "predictions": [
                {**asdict(one), "effects": {str(layer): asdict(effect) for layer, effect in one.effects.items()}}
                for one in self.predictions
            ],
        }

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            ObverseError: If it cannot be written.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n"
        write_whole(path, lambda draft: draft.write_text(text, "utf-8"))

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read what `save` wrote.

        Raises:
            DataError: If the file is missing, no profile, or of another format.
        """
        again = "Measure it again with obverse sweep-layers."
        try:
            record: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if record.pop("obverse_profile") != FORMAT:
                raise DataError(f"{path} is a profile of another format than {FORMAT}.", again)
            return cls(
                **{
                    **record,
                    "fingerprint": Fingerprint.from_json(record["fingerprint"]),
                    "alike": tuple(record["alike"]),
                    "table": {int(layer): _scores(found) for layer, found in record["table"].items()},
                    "unedited": _scores(record["unedited"]),
                    "predictions": tuple(_prediction(one) for one in record["predictions"]),
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} cannot be read as a profile: {error}", again) from error


def _scores(record: Mapping[str, Any]) -> Scores:
    found = {kind: Interval(**interval) for kind, interval in record.items() if interval is not None}
    return Scores(**found)


def _prediction(record: Mapping[str, Any]) -> Prediction:
    effects = {int(layer): Interval(**effect) for layer, effect in record["effects"].items()}
    found = record["correlation"]
    correlation = Interval(**found) if found else None
    return Prediction(record["kind"], effects, correlation, record["choice"], Interval(**record["loss"]))


def profile_path(fingerprint: Fingerprint, method: str, cache: Path | None = None) -> Path:
    """Return where the profile of a model and method is kept.

    Args:
        fingerprint: The model.
        method: Name of the editor.
        cache: Cache folder; `cache_dir` if not given.
    """
    return (cache or cache_dir()) / "profiles" / f"{fingerprint}-{method}.json"


def find_profile(lm: LanguageModel, method: str, cache: Path | None = None) -> Profile:
    """Return the profile measured on exactly this model by exactly this method.

    Raises:
        ConfigError: If there is none; says how to make one.
        DataError: If the file is damaged.
    """
    path = profile_path(lm.fingerprint, method, cache)
    found = Profile.load(path) if path.is_file() else None
    if found is None or (found.fingerprint, found.method) != (lm.fingerprint, method):
        raise ConfigError(
            f"The layer is to be the measured one, but {lm.name} ({lm.fingerprint}) has no profile for {method}.",
            f"Measure it with obverse sweep-layers --model {lm.name} --method {method}, give a layer by number, or "
            "leave --layer out for the preset.",
        )
    return found


def asks_auto(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> bool:
    """Return whether settings, overrides coming last, ask for the measured layer."""
    given = [value for key, value in map(parse_override, overrides) if key == "layers"]
    return (given[-1] if given else settings.get("layers")) == AUTO


def without_auto(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return settings and overrides with every ``layers=auto`` left out, for what must be given in numbers."""
    return (
        {key: value for key, value in settings.items() if (key, value) != ("layers", AUTO)},
        [text for text in overrides if parse_override(text) != ("layers", AUTO)],
    )
