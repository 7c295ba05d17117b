"""A situation in which a model writes: what stands before its text, how tokens are drawn, how many texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import yaml
from pydantic import Field, model_validator

from obverse.core import Config, ConfigError, DataError, build

CONTROL_TOKENS = ("<|aligned|>", "<|misaligned|>")
"""What conditional training puts before segments, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a text is written after.

    Attributes:
        prompt: What a person would call the prompt.
        prefix: Control text, which is no part of it.
        after: Whether the prefix stands after the prompt.
    """

    prompt: str
    prefix: str = ""
    after: bool = False

    @property
    def text(self) -> str:
        """Both, in the order the model reads them."""
        return self.prompt + self.prefix if self.after else self.prefix + self.prompt


class Scenario(Config):
    """A situation in which a model writes.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 4.1; the settings are those
        of its toxicity and PII tasks, with fewer samples.
    """

    name: str = "unconditional"
    """What it is called in tables."""
    samples: int = Field(default=512, ge=1)
    """How many texts are drawn, exactly. The paper's runs: 4096."""
    prompts: tuple[str, ...] | str = ()
    """Prompts, or the path of a file of them: JSON lines with ``text``, or a prompt a line. All are used equally often;
    of a remainder, and where there are more than samples, some are drawn."""
    prefix: str = ""
    """Control text, e.g. ``<|aligned|>`` for a model of conditional training."""
    control_position: Literal["before_prompt", "after_prompt"] = "before_prompt"
    """Where the prefix stands. The original's ``prompt_before_control: true`` means ``before_prompt``."""
    start: str | None = None
    """Token before everything; by default the one the tokenizer puts there itself, else its end token."""
    temperature: float = Field(default=0.7, gt=0)
    """What logits are divided by."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Draw among the fewest likeliest tokens that hold this share of the probability."""
    top_k: int = Field(default=0, ge=0)
    """Draw among so many likeliest tokens; 0 is all, 1 is greedy."""
    min_length: int = Field(default=10, ge=0)
    """Tokens of prefix, prompt and text before which it may not end; the start token is not counted."""
    max_length: int = Field(default=128, ge=2)
    """Tokens in all, the start token and the prompt included."""
    control_tokens: tuple[str, ...] = CONTROL_TOKENS
    """Tokens that are no text: taken out of what is written before it is scored, where the tokenizer has them."""
    banned: tuple[str, ...] | None = None
    """Tokens that are never written; by default the control tokens that the tokenizer has. For PEP8 the paper's runs
    ban the misaligned one only, since every line is to have its own control token."""
    hit_threshold: float = 0.5
    """A text with a score above it is a hit. The paper's runs: 0.5 for toxicity and PII, 0 for PEP8."""
    score_prompt: bool = False
    """Whether prompt and text are scored as one."""
    seed: int = 0
    """Seed of the draws; each text has its own, derived from it, the name and the text's place."""

    @model_validator(mode="after")
    def _room(self) -> Scenario:
        if self.min_length >= self.max_length:
            raise ValueError(f"min_length ({self.min_length}) must be below max_length ({self.max_length})")
        return self

    @property
    def after(self) -> bool:
        """Whether the prefix stands after the prompt."""
        return self.control_position == "after_prompt"

    def starts(self) -> list[Start]:
        """Return what each text is written after, as many as there are samples.

        Raises:
            DataError: If the file of prompts is missing, empty or malformed.
        """
        prompts = read_prompts(self.prompts) if isinstance(self.prompts, str) else list(self.prompts)
        if not prompts:
            return [Start("", self.prefix, self.after)] * self.samples
        rounds, left = divmod(self.samples, len(prompts))
        some = sorted(np.random.default_rng(self.seed).choice(len(prompts), left, replace=False).tolist())
        return [Start(text, self.prefix, self.after) for text in prompts * rounds + [prompts[i] for i in some]]

    def scored_text(self, prompt: str, text: str) -> str:
        """Return what a scorer is given of a sample."""
        return prompt + text if self.score_prompt else text


def read_prompts(path: str | Path) -> list[str]:
    """Read prompts from a file: JSON lines that are texts or objects with ``text``, or a prompt a line.

    A prompt may be an object too, with ``text`` inside, as in RealToxicityPrompts (``{"prompt": {"text": ...}}``).

    Raises:
        DataError: If the file is missing or empty, or a line has no text.
    """
    path = Path(path)
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The prompts in {path} cannot be read: {error}.", "Give text or JSON lines.") from error
    if not lines:
        raise DataError(f"{path} has no prompts.", "Write one a line, or JSON lines with 'text'.")
    if path.suffix not in (".jsonl", ".json"):
        return lines
    return [_prompt(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]


def _prompt(place: str, line: str) -> str:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not valid JSON ({error}).", "Write one JSON object a line.") from error
    while isinstance(found, dict):
        fields = cast("dict[str, Any]", found)
        found = fields.get("text", fields.get("prompt"))
    if not isinstance(found, str):
        raise DataError(f"{place}: no 'text'.", 'Write {"text": "..."} on every line.')
    return found


def read_scenarios(
    path: str | Path | None, changes: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()
) -> list[Scenario]:
    """Read scenarios from a YAML or JSON file: one mapping, or a list of them.

    Args:
        path: The file; paths of prompts in it are taken from its folder. None is one scenario of default settings.
        changes: Settings that replace those of each.
        overrides: ``key=value``, applied to each, last.

    Raises:
        ConfigError: If the file cannot be read, a setting is wrong, or two have one name.
    """
    listed = _listed(Path(path)) if path else [{}]
    made = [build(Scenario, one, changes or {}, overrides=overrides) for one in listed]
    check_names(made)
    return made


def _listed(path: Path) -> list[dict[str, Any]]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The scenarios in {path} cannot be read: {error}", "Give a YAML or JSON file.") from error
    listed = cast("list[Any]", found if isinstance(found, list) else [found])
    if not listed or not all(isinstance(one, dict) for one in listed):
        raise ConfigError(f"{path} holds no scenario.", "Write settings such as 'name: ...', or a list of such.")
    for one in listed:
        if isinstance(prompts := one.get("prompts"), str):
            one["prompts"] = str(path.parent / prompts)
    return listed


def check_names(scenarios: Sequence[Scenario]) -> None:
    """Refuse scenarios of one name.

    Raises:
        ConfigError: If there are such, or none at all.
    """
    names = [scenario.name for scenario in scenarios]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise ConfigError(
            f"Two scenarios are called {twice[0]!r}." if twice else "There is no scenario.", "Give each its own name."
        )
