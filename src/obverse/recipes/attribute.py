"""Which neurons say the answer to a prompt? Attribution as a journey."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError, Fact, build
from obverse.data.subjects import guess_subject
from obverse.locating.attribution import AttributionConfig, attribute
from obverse.locating.neurons import Attribution, Neuron
from obverse.locating.promoted import promoted
from obverse.measuring import top_tokens
from obverse.recipes.destination import check_figure, check_file
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.steps import Steps

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

_log = logging.getLogger(__name__)

UNEXPLAINED = 0.05
"""Of the answer's probability: how much of what a layer adds the sum over points may miss before it is said."""


@dataclass(frozen=True, slots=True)
class AttributeRequest:
    """What is asked of `run_attribute`.

    Attributes:
        prompt: Text that ends where the answer starts; the subject, or ``{}`` for it, may be in it.
        subject: Whom or what it is about; only its last token matters, and only where neurons there are asked for.
        answer: The answer; what the model says next if None.
        settings: Settings of `AttributionConfig`.
        top: How many neurons to list.
        out: Where to save all scores (.safetensors).
        figure: Where to draw them.
        model: The model.
    """

    prompt: str
    subject: str | None = None
    answer: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    top: int = 20
    out: Path | None = None
    figure: Path | None = None
    model: ModelChoice = field(default_factory=ModelChoice)


@dataclass(frozen=True, slots=True)
class Listed:
    """A neuron of the list, and the tokens that what it writes makes likelier."""

    neuron: Neuron
    promotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttributeResult:
    """What came of it.

    Attributes:
        attribution: All scores.
        top: The neurons with the largest ones.
        seconds: Time by step.
        out: Where the scores were saved.
        figure: Where they were drawn.
    """

    attribution: Attribution
    top: tuple[Listed, ...]
    seconds: Mapping[str, float]
    out: Path | None = None
    figure: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the tables as JSON values."""
        one = self.attribution
        return {
            **one.to_json(tables=False),
            "by_layer": one.by_layer().tolist(),
            "without": one.without.tolist(),
            "unexplained": float(one.unexplained().abs().max()),
            "top": [{**asdict(listed.neuron), "promotes": list(listed.promotes)} for listed in self.top],
            "above": [[neuron.layer, neuron.index] for neuron in one.above()],
            "out": str(self.out) if self.out else None,
            "figure": str(self.figure) if self.figure else None,
            "seconds": dict(self.seconds),
        }


def run_attribute(request: AttributeRequest) -> AttributeResult:
    """Score the neurons of a model by what they add to an answer; save and draw the scores.

    Raises:
        ConfigError: If a setting, the prompt or the figure's ending is wrong.
        SubjectNotFound: If the subject is not in the prompt.
        UnsupportedModel: If the model's neurons cannot be scaled as asked.
        ObverseError: If a file cannot be written.
    """
    config = build(AttributionConfig, request.settings)
    subject = _subject(request, config)
    if request.out is not None:
        check_file(request.out, overwrite=True)
    if request.figure is not None:
        check_figure(request.figure)
    steps = Steps()
    with steps.step("Loading the model", shown=True):
        lm = load_model(request.model)
    with steps.step("Attributing"):
        found = _attributed(lm, request, subject, config)
    if float(found.unexplained().abs().max()) > UNEXPLAINED * found.probability:
        _log.warning("Scores miss up to %.1e of what a layer adds; raise --steps.", found.unexplained().abs().max())
    with steps.step("Naming neurons"):
        top = found.top(request.top)
        listed = tuple(map(Listed, top, promoted(lm, top)))
    if request.out is not None:
        found.save(request.out)
    if request.figure is not None:
        found.plot(request.figure)
    return AttributeResult(found, listed, steps.seconds, request.out, request.figure)


def _attributed(lm: LanguageModel, request: AttributeRequest, subject: str, config: AttributionConfig) -> Attribution:
    if request.answer is not None:
        return attribute(lm, Fact.from_text(request.prompt, subject, request.answer), config)
    text = request.prompt.replace("{}", subject)
    (said,) = top_tokens(lm, text, 1)
    fact = Fact.from_text(request.prompt, subject, said.text.strip() or repr(said.text))
    return attribute(lm, fact, config, answer_ids=[said.id])


def _subject(request: AttributeRequest, config: AttributionConfig) -> str:
    if not request.prompt.strip():
        raise ConfigError("The prompt is empty.", "Give a text that ends where the answer starts.")
    if request.subject is not None:
        return request.subject
    if "{}" in request.prompt:
        raise ConfigError(
            f"The prompt {request.prompt!r} has a place for a subject, but none is given.", "Say --subject."
        )
    guessed = guess_subject(request.prompt)
    if config.position == "subject-last":
        if guessed is None:
            raise ConfigError("Which token is the subject's last? No subject is given, nor guessed.", "Say --subject.")
        _log.warning("The subject was not given: guessed %r (say it with --subject).", guessed)
    return guessed or request.prompt.strip()
