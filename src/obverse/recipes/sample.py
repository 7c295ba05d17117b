"""Let a model write in scenarios, and keep the texts as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from obverse.core import DataError, write_text
from obverse.measuring.samples import BATCH, Sample, check_tokens, draw_samples
from obverse.measuring.scenarios import Scenario, check_names
from obverse.recipes.destination import check_file
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.steps import Steps


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What is asked of `run_sample`.

    Attributes:
        scenarios: What is written after what; of different names.
        model: The model.
        out: The file of JSON lines; None keeps nothing.
        replace: Whether an older file may be replaced.
        batch: Texts written at once.
    """

    scenarios: Sequence[Scenario]
    model: ModelChoice = field(default_factory=ModelChoice)
    out: Path | None = None
    replace: bool = False
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What came of it.

    Attributes:
        model: Name of the model.
        fingerprint: What model it is.
        samples: Name of a scenario → what was written.
        out: The file.
        seconds: Time by step.
    """

    model: str
    fingerprint: Mapping[str, Any]
    samples: Mapping[str, Sequence[Sample]]
    out: Path | None
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "model": self.model,
            "fingerprint": dict(self.fingerprint),
            "samples": {name: [asdict(one) for one in found] for name, found in self.samples.items()},
            "out": str(self.out) if self.out else None,
            "seconds": {label: round(seconds, 3) for label, seconds in self.seconds.items()},
        }


def run_sample(request: SampleRequest) -> SampleResult:
    """Let a model write, and keep the texts: a JSON line each, with scenario, prompt, text, tokens and ended.

    Raises:
        ObverseError: If what is asked cannot be done; nothing is written then.
    """
    check_names(request.scenarios)
    if request.out:
        check_file(request.out, overwrite=request.replace)
    steps = Steps()
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
        for scenario in request.scenarios:
            check_tokens(lm.tokenizer, scenario)
    found: dict[str, list[Sample]] = {}
    with steps.step("Writing"):
        for scenario in request.scenarios:
            found[scenario.name] = draw_samples(lm, scenario, batch=request.batch, label=scenario.name)
    if request.out:
        write_lines(request.out, (sample_line(name, one) for name, made in found.items() for one in made))
    return SampleResult(lm.name, lm.fingerprint.to_json(), found, request.out, steps.seconds)


def sample_line(scenario: str, sample: Sample, **more: Any) -> dict[str, Any]:
    """Return a sample as it stands in a file."""
    return {**more, "scenario": scenario, **asdict(sample)}


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines; an older file is replaced as a whole."""
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    write_text(path, text)


def read_samples(path: Path) -> dict[str, list[Sample]]:
    """Read what `run_sample` wrote, or any JSON lines with ``text`` and perhaps ``prompt``, by scenario.

    Raises:
        DataError: If the file cannot be read, has no line, or a line has no ``text``.
    """
    found: dict[str, list[Sample]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Give a file of JSON lines.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, sample = _sample(f"{path}, line {number}", line)
            found.setdefault(name, []).append(sample)
    if not found:
        raise DataError(f"{path} has no samples.", "Write them with `obverse sample --out`.")
    return found


def _sample(place: str, line: str) -> tuple[str, Sample]:
    try:
        one = json.loads(line)
        text, prompt = one["text"], one.get("prompt", "")
        tokens, ended = int(one.get("tokens", 0)), bool(one.get("ended", True))
        if not isinstance(text, str) or not isinstance(prompt, str):
            raise TypeError("'text' and 'prompt' are texts")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{place}: no sample ({error!r}).", 'Write {"text": "..."} on every line.') from error
    return str(one.get("scenario", "samples")), Sample(prompt, text, tokens, ended)
